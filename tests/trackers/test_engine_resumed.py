"""A worker of a resumed run: what of the earlier starts it gives to which tracker."""

import pytest

from drytorch_schemas import events
from drytorch_trackers.boundary import Boundary
from drytorch_trackers.engine import Engine
from drytorch_trackers.feed import Ending, Feed, FeedOptions, Surroundings
from feeding import MOMENT, Clock, MemoryJournal, Recorder, Run

SECOND = 1_000_000_000
SINCE = 100 * SECOND


class Remembering(Recorder):
    """Knows what it had before."""

    remembers = True


class Whole(Recorder):
    """Wants whole runs."""

    wants_whole_run = True


def give(tracker: Recorder, payloads: list[bytes]) -> list[tuple[int, bool]]:
    """Return offsets of what a tracker of the second start is given, and whether as replayed."""
    journal = MemoryJournal(payloads)
    engine = Engine({"t": tracker}, journal, boundary=Boundary(SINCE), pace=Clock().pace())
    for offset, payload in enumerate(payloads):
        engine.handle(offset, payload)
    return [(each.offset, each.replayed) for each in tracker.seen]


def resumed() -> list[bytes]:
    """Return a run of two starts by two producers: three events, then three."""
    first, second = Run(1), Run(2)
    second.origin = Run(1, producer=f"{2:032x}").origin
    return [
        first.start(),
        first.metric(1),
        first.metric(2),
        second.start(resumed=True, time=SINCE + 1),
        second.metric(3, time=SINCE + 2),
        second.stop(time=SINCE + 3),
    ]


@pytest.mark.parametrize(
    ("tracker", "past"),
    [
        (Recorder(), []),
        (Remembering(), [(0, True), (1, True), (2, True)]),
        (Whole(), [(0, True), (1, True), (2, True)]),
    ],
    ids=["plain", "remembering", "whole"],
)
def test_the_past(tracker: Recorder, past: list[tuple[int, bool]]) -> None:
    """Earlier starts go to trackers that remember or want it all; the latest start to every one."""
    assert give(tracker, resumed()) == [*past, (3, False), (4, False), (5, False)]


def test_a_clock_that_jumps_back_hides_nothing() -> None:
    """Once its start is met, what follows is given, whatever the clock said when it was emitted."""
    payloads = resumed()
    second = Run(1, producer=f"{2:032x}")
    second._seq = 3
    payloads[4] = second.metric(3, time=SINCE - 60 * SECOND)
    assert give(Recorder(), payloads) == [(3, False), (4, False), (5, False)]


def test_a_clock_that_jumped_back_before_the_start_ends_nothing() -> None:
    """A worker whose start has a time before that of the earlier one waits for that very start."""
    first, second = Run(1), Run(1, producer=f"{2:032x}")
    lost = events.RunLostEvent(producer=f"{1:032x}", reason="lock")
    late = 200 * SECOND
    own = MOMENT.replace(microsecond=5)
    started = events.StartExperimentEvent(
        config=None, exp_name="Exp", run_ts=own, run_id="r", resumed=True
    )
    payloads = [
        first.start(time=late),
        first.metric(1, time=late),
        Run(1, producer="broker-1").emit(lost, time=late),
        second.emit(started, time=SINCE),
        second.stop(time=SINCE),
    ]
    boundary = Boundary(SINCE, own.isoformat())
    journal = MemoryJournal(payloads[:3])
    engine = Engine({"t": Recorder()}, journal, boundary=boundary, pace=Clock().pace())
    options = FeedOptions(away_seconds=1000.0)
    clock = Clock()

    def arrive() -> None:
        journal.payloads = payloads

    journal.on_wait = arrive
    assert Feed(journal, engine, options, Surroundings(clock)).run() is Ending.DONE
    assert journal.cursor == len(payloads)
