"""A source that is a broker: fetch by offset over the control channel, doorbells beside it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.envelope import Envelope, check
from drytorch_schemas.packing import unpack
from drytorch_schemas.topics import TopicFilter
from drytorch_trackers import exit_codes
from drytorch_trackers.errors import SourceAwayError, WorkError
from drytorch_trackers.sink import Letter
from drytorch_trackers.source import Chunk

_TIMEOUT: Final = 3.0
_ERROR_CHARACTERS: Final = 2000
_PASSING: Final = frozenset({"journal", "full", "bad_request"})

AnswerT = TypeVar("AnswerT", bound=control.Message)


class Channel(Protocol):
    """The control channel, as far as it is needed here."""

    def request(self, message: control.Message, timeout: float) -> control.Message:
        """Send a request and return its answer."""


class Bell(Protocol):
    """Doorbells, as far as they are needed here."""

    def use_ports(self, ports: Mapping[str, int]) -> None:
        """Listen on the port that a handshake told."""

    def wait(self, seconds: float) -> None:
        """Wait for a doorbell or a live event, at most so many seconds."""

    def live(self) -> list[Envelope]:
        """Return the live events that came, the latest of each source only."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker tells the broker about itself.

    Attributes:
        worker: the name under which its cursor is kept.
        filters: which envelopes it wants.
        trackers: names of its trackers.
        start: where to begin without a kept cursor: `start`, `now` or an offset.
        run_scoped: whether the cursor goes when the worker is done.
        transient: whether the cursor goes also when the worker leaves before that.
        instance: random id of this process.
    """

    worker: str
    filters: tuple[TopicFilter, ...]
    trackers: tuple[str, ...] = ()
    start: str = "start"
    run_scoped: bool = False
    transient: bool = False
    instance: str = field(default_factory=lambda: secrets.token_hex(8))


class BrokerSource:
    """Fetches from a broker, and survives its restarts and its replacement.

    Attributes:
        position: the offset at which the worker begins, after `attach`.
        kept: whether that came from a kept cursor.
        skipped: records that retention removed before they were fetched.
        journal: the journal's id.
        committed: the cursor as it was kept last.
    """

    def __init__(
        self, channel: Channel, bell: Bell, place: Place, note: Callable[[str], None]
    ) -> None:
        self.position = 0
        self.kept = False
        self.skipped = 0
        self.journal = ""
        self.committed = 0
        self._channel = channel
        self._bell = bell
        self._place = place
        self._note = note
        self._filters = [control.Filter.wired(each) for each in place.filters]

    # ---- the worker's name and cursor

    def attach(self) -> None:
        """Take the name; tell where retention or a new journal cost something.

        Raises:
            SourceAwayError: the broker does not answer.
            WorkError: another living worker has the name.
        """
        attached = self._attach(self._place.start)
        self.journal, self.position, self.kept = attached.journal, attached.cursor, attached.kept
        self.committed = attached.cursor
        if attached.skipped:
            self._skip(attached.skipped)

    def commit(self, cursor: int, last_error: str) -> None:
        """Keep the cursor; after a restart of the broker take the name again first."""
        self._own(
            control.Commit(
                worker=self._place.worker,
                instance=self._place.instance,
                journal=self.journal,
                cursor=cursor,
                last_error=last_error[:_ERROR_CHARACTERS],
            )
        )
        self.committed = cursor

    def put_aside(self, letters: Sequence[Letter]) -> None:
        """Keep dead letters."""
        for letter in letters:
            self._own(
                control.DeadLetter(
                    worker=self._place.worker,
                    instance=self._place.instance,
                    offset=max(letter.offset, 0),
                    tracker=letter.tracker,
                    error=letter.error[:_ERROR_CHARACTERS],
                    topic=letter.topic,
                )
            )

    def detach(self, *, done: bool) -> None:
        """Give the name back."""
        place = self._place
        gone = done or place.transient
        self._own(control.Detach(worker=place.worker, instance=place.instance, done=gone))

    def hand_on(self, worker: str, tracker: str, cursor: int) -> None:
        """Leave a cursor to another worker, unless it has one.

        Args:
            worker: the other worker's name.
            tracker: the name of its tracker.
            cursor: where it goes on.

        Raises:
            SourceAwayError: the broker does not answer.
        """
        place = replace(self._place, worker=worker, trackers=(tracker,), run_scoped=True)
        answer = self._request(_attachment(place, self._filters, str(cursor)))
        if isinstance(answer, control.Attached):
            self._request(control.Detach(worker=worker, instance=place.instance))
        elif not (isinstance(answer, control.Refused) and answer.code == "name_taken"):
            self._check(answer)

    # ---- records

    def fetch(self, start: int) -> Chunk:
        """Return what is there from an offset on.

        Args:
            start: the first offset wanted.

        Raises:
            SourceAwayError: the broker does not answer.
        """
        answer = self._ask(control.Fetch(start=start, filters=self._filters), control.Records)
        if answer.journal != self.journal:
            return self._replaced()
        if answer.head < start:
            self._note(
                f"The journal ends at offset {answer.head}, before this worker's cursor {start}: "
                f"it goes on from the journal's end."
            )
            return Chunk((), answer.head, caught_up=True)
        if answer.start > start:
            self._skip(answer.start - start)
        return Chunk(answer.records, answer.covered_to, answer.covered_to >= answer.head)

    def history(self, run: str, before: int, *, whole: bool) -> Iterable[tuple[int, bytes]]:
        """Yield a run's context, or all of it, below an offset."""
        wanted = control.Filter(run=run)
        if not whole:
            yield from self._context(before, [wanted], open_only=False)
            return
        start = 0
        while start < before:
            request = control.Fetch(start=start, end=before, filters=[wanted])
            answer = self._ask(request, control.Records)
            yield from answer.records
            if answer.covered_to <= start:
                return
            start = answer.covered_to

    def open_runs(self) -> list[str]:
        """Return the UUIDs of matching runs that began below `position` and did not end there."""
        if self.position == 0:
            return []
        return list(dict.fromkeys(_runs(self._context(self.position, self._filters))))

    def has_runs(self) -> bool:
        """Tell whether any matching run is known."""
        records = self._context(max(self.position, 1), self._filters, open_only=False)
        return next(iter(records), None) is not None

    # ---- news

    def wait(self, seconds: float) -> None:
        """Wait for news, at most so many seconds."""
        self._bell.wait(seconds)

    def live(self) -> list[Envelope]:
        """Return the live events that came meanwhile."""
        return self._bell.live()

    # ---- inside

    def _attach(self, start: str) -> control.Attached:
        request = _attachment(self._place, self._filters, start)
        attached = self._ask(request, control.Attached)
        self._bell.use_ports(attached.ports)
        return attached

    def _replaced(self) -> Chunk:
        self._note("The broker has another journal now: this worker goes on from its start.")
        attached = self._attach("start")
        self.journal, self.committed = attached.journal, attached.cursor
        return Chunk((), attached.cursor, caught_up=False)

    def _skip(self, count: int) -> None:
        self.skipped += count
        self._note(
            f"Up to {count} records were removed by retention before this worker had them: "
            f"it goes on behind them."
        )

    def _context(
        self, before: int, filters: list[control.Filter], *, open_only: bool = True
    ) -> list[tuple[int, bytes]]:
        request = control.FetchContext(before=before, filters=filters, open_only=open_only)
        return self._ask(request, control.Records).records

    def _own(self, message: control.Message) -> None:
        """Send what only the holder of the name may send, taking the name again where needed."""
        answer = self._request(message)
        if isinstance(answer, control.Refused) and answer.code == "unknown":
            self._attach(self._place.start)
            answer = self._request(message)
        if isinstance(answer, control.Refused) and answer.code in _PASSING:
            # room comes back, and the next fetch sees another journal and goes on there
            raise SourceAwayError(answer.text)
        self._check(answer)

    def _ask(self, message: control.Message, expected: type[AnswerT]) -> AnswerT:
        answer = self._check(self._request(message))
        if not isinstance(answer, expected):
            raise WorkError(
                f"The broker answers {message.type} with {answer.type}: update it or this program.",
                exit_codes.SOFTWARE,
            )
        return answer

    def _request(self, message: control.Message) -> control.Message:
        try:
            return self._channel.request(message, _TIMEOUT)
        except BrokerAwayError as error:
            raise SourceAwayError(str(error)) from error

    def _check(self, answer: control.Message) -> control.Message:
        if not isinstance(answer, control.Refused):
            return answer
        taken = answer.code == "name_taken"
        raise WorkError(answer.text, exit_codes.TAKEN if taken else exit_codes.SOFTWARE)


def _attachment(place: Place, filters: list[control.Filter], start: str) -> control.Attach:
    return control.Attach(
        worker=place.worker,
        instance=place.instance,
        start=start,
        filters=filters,
        trackers=list(place.trackers),
        host=socket.gethostname(),
        pid=os.getpid(),
        run_scoped=place.run_scoped or place.transient,
    )


def _runs(records: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    for _, payload in records:
        yield check(unpack(payload))["run"]
