"""The engine and its loop under random failures, absences and restarts."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_trackers.base import Delivery
from drytorch_trackers.engine import Engine
from drytorch_trackers.errors import SourceAwayError
from drytorch_trackers.feed import Ending, Feed, FeedOptions, Surroundings
from drytorch_trackers.hosted import Policy
from feeding import Clock, MemoryJournal, Recorder, Run


class Killed(BaseException):
    """Stands for kill -9: nothing after it happens in this worker."""


class Unreliable(Recorder):
    """Raises as often as a list says, and is killed after so many calls."""

    def __init__(self, failures: Iterator[bool], calls_left: int) -> None:
        super().__init__()
        self.attempts: list[int] = []
        self._failures = failures
        self._calls_left = calls_left

    def handle(self, delivery: Delivery) -> None:
        """Perhaps raise, before or after the event is taken in."""
        self.attempts.append(delivery.offset)
        if next(self._failures, False):
            raise RuntimeError("no")
        super().handle(delivery)


class KillingJournal(MemoryJournal):
    """Lets the process die, or the broker be away, at chosen requests."""

    def __init__(self, payloads: list[bytes], kills: set[int], absences: set[int]) -> None:
        super().__init__(payloads)
        self.requests = 0
        self._kills = kills
        self._absences = absences
        self.away = self._request

    def _request(self) -> None:
        self.requests += 1
        if self.requests in self._kills:
            raise Killed
        if self.requests in self._absences:
            raise SourceAwayError("away")


def interleaved(draw: Any, runs: int) -> list[bytes]:
    """Return the events of some runs, each in order, mixed."""
    queues = [Run(number, f"r{number}").whole(draw(st.integers(0, 4))) for number in range(runs)]
    mixed = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        mixed.append(queue.pop(0))
    return mixed


@st.composite
def worlds(draw: Any) -> tuple[list[bytes], list[bool], set[int], set[int]]:
    """Return a journal, when trackers fail, when the process dies, when the broker is away."""
    payloads = interleaved(draw, draw(st.integers(1, 3)))
    failures = draw(st.lists(st.booleans(), max_size=60))
    kills = set(draw(st.lists(st.integers(1, 40), max_size=6)))
    absences = set(draw(st.lists(st.integers(1, 60), max_size=10)))
    return payloads, failures, kills, absences


@given(worlds())
@settings(max_examples=300, deadline=None)
def test_nothing_is_skipped_whatever_happens(
    world: tuple[list[bytes], list[bool], set[int], set[int]],
) -> None:
    """Over all restarts each event is handled at least once in order, or is a dead letter."""
    payloads, failing, kills, absences = world
    journal = KillingJournal(payloads, kills, absences)
    failures = iter(failing)
    handled: set[int] = set()
    for _ in range(100):
        tracker, clock = Unreliable(failures, 0), Clock()
        policy = Policy(max_in_a_row=1000)
        engine = Engine({"t": tracker}, journal, policy=policy, pace=clock.pace())
        feed = Feed(journal, engine, FeedOptions(), Surroundings(clock))
        committed = journal.cursor
        try:
            ending = feed.run()
        except Killed:
            ending = None
        own = tracker.offsets()
        assert own == sorted(own)
        assert all(offset >= committed for offset in own)
        handled |= set(own)
        done = handled | {letter.offset for letter in journal.letters}
        assert set(range(journal.cursor)) <= done
        if ending is Ending.DONE:
            break
    assert ending is Ending.DONE
    assert journal.cursor == len(payloads)
    assert journal.detached is True


@given(worlds(), st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_a_start_anywhere_knows_every_run(
    world: tuple[list[bytes], list[bool], set[int], set[int]], start: int
) -> None:
    """From any offset a tracker is given a run's start before anything else of that run."""
    payloads = world[0]
    journal = MemoryJournal(payloads, start=min(start, len(payloads)))
    tracker, clock = Recorder(), Clock()
    engine = Engine({"t": tracker}, journal, pace=clock.pace())
    around = Surroundings(clock, leaving=lambda: clock.now > 1)
    feed = Feed(journal, engine, FeedOptions(follow=True), around)
    assert feed.run() is Ending.ASKED
    assert tracker.offsets() == list(range(journal.start, len(payloads)))
    met: set[str] = set()
    for delivery in tracker.seen:
        if delivery.run not in met:
            assert delivery.envelope.kind == "StartExperiment"
        met.add(delivery.run)
