"""One tracker in a worker: call it, try again, give up on an event, give up on the tracker."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drytorch_trackers.base import Delivery, Tracker, TrackerContext
from drytorch_trackers.errors import BackendAwayError, FolderTakenError, InterruptedWorkError
from drytorch_trackers.terminal import printable

_ERROR_CHARACTERS: Final = 2000
_FOLDER_PAUSE: Final = 0.2
_FIRST_AWAY_PAUSE: Final = 0.1
_LONGEST_AWAY_PAUSE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a failing tracker is called again, and when the worker gives up.

    Attributes:
        delays: seconds before each further attempt at an event.
        delays_in_a_row: the same, where the event before could not be handled either.
        delays_for_kind: the same, where only the last event of this kind could not be handled:
            that is a defect rather than a backend that is away.
        wait_for_backend: wait as long as it takes while what a tracker writes to is away.
        max_in_a_row: dead letters in a row after which the tracker is given no more events.
        wait_for_folder: wait as long as it takes while another worker writes to a run's folder.
        commit_seconds: longest time between two commits while events come.
        commit_letters: dead letters after which a commit is due at once.
    """

    delays: tuple[float, ...] = (0.1, 0.5, 2.0)
    delays_in_a_row: tuple[float, ...] = (0.1, 0.5)
    delays_for_kind: tuple[float, ...] = (0.1,)
    max_in_a_row: int = 20
    wait_for_folder: bool = False
    wait_for_backend: bool = False
    commit_seconds: float = 0.5
    commit_letters: int = 100


@dataclass(slots=True)
class Pace:
    """Where time comes from, so that tests need none.

    Attributes:
        sleep: waits so many seconds, less where the worker is asked to leave.
        leaving: tells whether the worker is asked to leave.
    """

    sleep: Callable[[float], None]
    leaving: Callable[[], bool] = lambda: False


class HostedTracker:
    """A tracker, and how it has been doing.

    Attributes:
        name: the tracker's name in messages and dead letters.
        tracker: the object itself.
        stopped: why it is given no more events; empty while it works.
        in_a_row: events in a row that it could not handle.
        failures: events that it could not handle.
        last_error: its last error in one line.
        last_traceback: where that came from.
        broken: whether it could not be set up or flushed: it is not to be called at all.
        goes_on_at: once it is stopped, the offset of the first event that it was not given; 0
            where what was handled last is not safe either.
    """

    def __init__(
        self,
        name: str,
        tracker: Tracker,
        policy: Policy,
        pace: Pace,
        on_away: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Initialize.

        Args:
            name: the tracker's name in messages and dead letters.
            tracker: the object itself.
            policy: how often it is called again, and when that ends.
            pace: where time comes from.
            on_away: is told one line when what the tracker writes to is away, and when it is back.
        """
        self.name = name
        self.tracker = tracker
        self.stopped = ""
        self.in_a_row = 0
        self.failures = 0
        self.last_error = ""
        self.last_traceback = ""
        self.broken = False
        self.goes_on_at = 0
        self._failing_kinds: set[str] = set()
        self._policy = policy
        self._pace = pace
        self._on_away = on_away
        self._away = False

    def wants(self, kind: str, *, unknown: bool) -> bool:
        """Tell whether the tracker is to be given a kind of event.

        Args:
            kind: the kind as it stands in the envelope.
            unknown: whether this version does not know the kind; only who names it gets it.
        """
        kinds = self.tracker.kinds
        if self.stopped:
            return False
        if kinds is None:
            return not unknown
        return kind in kinds

    def setup(self, context: TrackerContext) -> None:
        """Get the tracker ready; stop it where it cannot.

        Args:
            context: what the worker tells it.
        """
        if not self._attempt(lambda: self.tracker.setup(context)):
            self.broken = True
            self.stopped = f"it could not be set up ({self.last_error})"

    def handle(self, delivery: Delivery) -> bool:
        """Give the tracker an event, again after failures; tell whether it was handled.

        Args:
            delivery: the event.

        Raises:
            InterruptedWorkError: the worker is asked to leave before the event is handled.
            FolderTakenError: another worker writes to the run's folder, and waiting is not wanted.
        """
        kind = delivery.envelope.kind
        if self._attempt(lambda: self.tracker.handle(delivery), self._delays(kind)):
            self.in_a_row = 0
            self._failing_kinds.discard(kind)
            return True
        self._failing_kinds.add(kind)
        self.in_a_row += 1
        self.failures += 1
        if self.in_a_row >= self._policy.max_in_a_row:
            self.stopped = f"{self.in_a_row} events in a row failed ({self.last_error})"
            self.goes_on_at = delivery.offset + 1
        return False

    def handle_live(self, delivery: Delivery) -> None:
        """Give the tracker a live event once: a newer one follows anyway.

        Args:
            delivery: the event.
        """
        self._call(lambda: self.tracker.handle(delivery))

    def flush(self) -> bool:
        """Flush; stop the tracker where it cannot, and tell whether it could."""
        if self._attempt(self.tracker.flush):
            return True
        self.broken = True
        self.goes_on_at = 0
        self.stopped = f"it could not flush ({self.last_error})"
        return False

    def clean_up(self) -> bool:
        """Let the tracker close what it has open; tell whether that went well."""
        return self._call(self.tracker.clean_up_once) is None

    def _delays(self, kind: str) -> tuple[float, ...]:
        if self.in_a_row:
            return self._policy.delays_in_a_row
        if kind in self._failing_kinds:
            return self._policy.delays_for_kind
        return self._policy.delays

    def _attempt(self, action: Callable[[], None], delays: tuple[float, ...] | None = None) -> bool:
        pauses = iter(self._policy.delays if delays is None else delays)
        away = 0.0
        while (error := self._call(action)) is not None:
            if isinstance(error, FolderTakenError):
                self._wait_for_folder(error)
                continue
            if isinstance(error, BackendAwayError) and self._policy.wait_for_backend:
                if not self._away:
                    self._away = True
                    self._on_away(f"{self.name} waits: {error}")
                away = min(2 * away, _LONGEST_AWAY_PAUSE) or _FIRST_AWAY_PAUSE
                self._pause(away)
                continue
            delay = next(pauses, None)
            if delay is None:
                return False
            self._pause(delay)
        if away:
            self._away = False
            self._on_away(f"{self.name} goes on")
        return True

    def _call(self, action: Callable[[], None]) -> BaseException | None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - sys.exit in a tracker is its failure only
            self.last_error = one_line(error)
            lines = traceback.format_exc(limit=20).split("\n")
            self.last_traceback = "\n".join(map(printable, lines))
            return error
        return None

    def _wait_for_folder(self, error: FolderTakenError) -> None:
        if not self._policy.wait_for_folder:
            raise error
        self._pause(_FOLDER_PAUSE)

    def _pause(self, seconds: float) -> None:
        self._pace.sleep(seconds)
        if self._pace.leaving():
            raise InterruptedWorkError(f"{self.name} was asked to leave")


def one_line(error: BaseException) -> str:
    """Return an error as one line of bounded length.

    Args:
        error: what was raised.
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an exception class of the user's own may fail to print
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:_ERROR_CHARACTERS] if text else name
