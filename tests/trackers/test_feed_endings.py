"""The loop around the engine: when it commits, and when it leaves."""

import dataclasses

import pytest

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope, encode
from drytorch_trackers.base import Delivery
from drytorch_trackers.engine import Engine
from drytorch_trackers.errors import SourceAwayError
from drytorch_trackers.feed import Ending, Feed, FeedOptions, Surroundings
from feeding import Clock, MemoryJournal, Recorder, Run, away


class World:
    """A feed over a journal in memory."""

    def __init__(
        self, journal: MemoryJournal, tracker: Recorder | None = None, *, follow: bool = False
    ) -> None:
        self.journal = journal
        self.tracker = tracker or Recorder()
        self.clock = Clock()
        self.leave_at = 1e9
        self.orphaned = False
        self.living: set[str] = set()
        self.notes: list[str] = []
        self.engine = Engine({"t": self.tracker}, journal, pace=self.clock.pace())
        around = Surroundings(
            self.clock,
            leaving=lambda: self.clock.now > self.leave_at,
            orphaned=lambda: self.orphaned,
            lives=lambda producer: producer in self.living,
            note=self.notes.append,
        )
        self.feed = Feed(journal, self.engine, FeedOptions(follow=follow), around)
        journal.on_wait = self.wait

    def wait(self) -> None:
        """Let a second pass."""
        self.clock.now += 1


def test_it_leaves_when_the_run_is_over() -> None:
    """A run that is over and handled ends the feed: flushed, committed, cleaned up, detached."""
    world = World(MemoryJournal(Run().whole(10)))
    assert world.feed.run() is Ending.DONE
    assert world.journal.cursor == 13
    assert world.journal.detached is True
    assert world.tracker.calls.count("clean_up") == 1  # by the stop; nothing came after it
    assert world.tracker.flushed == 13


def test_it_waits_for_a_run_that_has_not_begun() -> None:
    """With nothing matched yet it says so once and waits; then it handles the run."""
    journal = MemoryJournal()
    world = World(journal)
    waits = 0

    def wait() -> None:
        nonlocal waits
        waits += 1
        world.clock.now += 1
        if waits == 70:
            journal.payloads += Run().whole(1)

    journal.on_wait = wait
    assert world.feed.run() is Ending.DONE
    assert world.notes == ["No run matches yet: waiting for one."]
    assert world.tracker.offsets() == [0, 1, 2, 3]


def test_an_orphan_without_a_run_leaves() -> None:
    """A worker whose training is gone before its run began does not stay for ever."""
    world = World(MemoryJournal())
    world.orphaned = True
    assert world.feed.run() is Ending.ORPHANED
    assert 45 < world.clock.now < 50
    assert world.journal.detached is False


def test_an_orphan_leaves_a_replaced_journal() -> None:
    """A worker does not stay for ever for a run that the new journal will never hear of."""
    journal = MemoryJournal(Run().whole(1)[:-1])
    world = World(journal)
    world.orphaned = True

    def replace() -> None:
        world.clock.now += 1
        if journal.payloads and world.clock.now > 100:
            journal.payloads, journal.journal = [], "1f" * 16

    journal.on_wait = replace
    assert world.feed.run() is Ending.ORPHANED
    assert 145 < world.clock.now < 150
    assert world.journal.detached is False


def test_a_worker_stays_in_a_replaced_journal_that_has_its_run() -> None:
    """A run that is sent again into the new journal is waited for and handled to its end."""
    whole = Run().whole(2)
    journal = MemoryJournal(whole[:-1])
    world = World(journal)
    world.orphaned = True

    def replace() -> None:
        world.clock.now += 1
        if world.clock.now > 300:
            journal.payloads = [whole[-2], whole[-1]]
        elif world.clock.now > 100 and journal.payloads != whole[-2:-1]:
            journal.payloads, journal.journal = whole[-2:-1], "1f" * 16

    journal.on_wait = replace
    assert world.feed.run() is Ending.DONE
    assert 300 < world.clock.now < 310


def test_without_a_broker_it_leaves() -> None:
    """After 45 seconds without an answer it flushes, cleans up and leaves."""
    journal = MemoryJournal(Run().whole(1))
    world = World(journal)
    journal.away = away
    assert world.feed.run() is Ending.AWAY
    assert 45 < world.clock.now < 50
    assert world.tracker.calls == ["flush", "clean_up"]
    assert journal.detached is None


def test_a_broker_that_comes_back_costs_nothing() -> None:
    """An absence in the middle is waited for, and its time does not add up with the next one's."""
    journal = MemoryJournal(Run().whole(100))
    journal.chunk = 10
    world = World(journal)
    requests = 0

    def sometimes() -> None:
        nonlocal requests
        requests += 1
        if requests % 40 > 5:
            raise SourceAwayError("away")

    journal.away = sometimes
    assert world.feed.run() is Ending.DONE
    assert world.clock.now > 60
    assert world.tracker.offsets() == list(range(103))


def test_a_kept_cursor_behind_a_finished_run() -> None:
    """A name whose runs were all handled before leaves at once, unless it follows."""
    journal = MemoryJournal(Run().whole(1))
    journal.cursor = 4
    assert World(journal).feed.run() is Ending.DONE
    journal = MemoryJournal(Run().whole(1), start=4)
    world = World(journal, follow=True)
    world.leave_at = 100
    assert world.feed.run() is Ending.ASKED


def test_a_start_in_the_middle_of_a_run() -> None:
    """The context of an open run comes first and once, then what follows the cursor."""
    world = World(MemoryJournal(Run().whole(5), start=4))
    world.journal.cursor = 4
    assert world.feed.run() is Ending.DONE
    assert [each.offset for each in world.tracker.seen] == [0, 1, 4, 5, 6, 7]
    assert world.tracker.offsets(replayed=True) == [0, 1]


def lost(run: Run) -> bytes:
    """Return the broker's note that a run's producer is gone."""
    event = events.RunLostEvent(producer=run.origin.producer, reason="silent")
    origin = dataclasses.replace(run.origin, producer="broker-1")
    return encode(Envelope(origin, 1, 1, event))


def test_a_lost_run_ends_unless_its_training_lives() -> None:
    """A run whose producer is gone is over; one that only slept is waited for."""
    run = Run()
    payloads = [*run.whole(1)[:-1], lost(run)]
    assert World(MemoryJournal(payloads)).feed.run() is Ending.DONE

    world = World(MemoryJournal(payloads))
    world.living.add(run.origin.producer)

    def wake_up() -> None:
        world.clock.now += 1
        if len(world.journal.payloads) == 4:
            found = events.RunFoundEvent(producer=run.origin.producer)
            origin = dataclasses.replace(run.origin, producer="broker-1")
            world.journal.payloads.append(encode(Envelope(origin, 2, 2, found)))
            world.journal.payloads += [run.metric(2), run.stop()]

    world.journal.on_wait = wake_up
    assert world.feed.run() is Ending.DONE
    assert world.tracker.offsets() == list(range(7))


def test_following_goes_on_with_the_next_run() -> None:
    """With `follow` a finished run does not end the feed, and SIGTERM does."""
    journal = MemoryJournal(Run(1).whole(1))
    world = World(journal, follow=True)

    def wait() -> None:
        world.clock.now += 1
        if len(journal.payloads) == 4:
            journal.payloads += Run(2, "second").whole(2)
        elif world.clock.now > 10:
            world.leave_at = 0

    journal.on_wait = wait
    assert world.feed.run() is Ending.ASKED
    assert world.tracker.offsets() == list(range(9))
    assert (journal.cursor, journal.detached) == (9, False)


def test_a_tracker_that_always_fails_ends_its_worker() -> None:
    """When no tracker is left the cursor stands behind the dead letters, and the rest is owed."""

    class Raising(Recorder):
        def handle(self, delivery: Delivery) -> None:
            raise RuntimeError(f"no {delivery.offset}")

    journal = MemoryJournal(Run().whole(50))
    world = World(journal, Raising())
    assert world.feed.run() is Ending.STOPPED
    assert len(journal.letters) == 20
    assert journal.cursor == 20
    assert journal.detached is False


@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_asked_to_leave_it_finishes_what_was_fetched(slow: float) -> None:
    """It handles the rest of the chunk if that takes five seconds at most, and commits there."""
    journal = MemoryJournal(Run().whole(100))
    journal.chunk = 50

    class Slow(Recorder):
        def handle(self, delivery: Delivery) -> None:
            super().handle(delivery)
            world.clock.now += slow
            if delivery.offset == 60:
                world.leave_at = world.clock.now

    world = World(journal, Slow())
    assert world.feed.run() is Ending.ASKED
    last = world.tracker.offsets()[-1]
    assert last == 99 if not slow else 60 < last < 70
    assert journal.cursor == last + 1


def test_commits_are_batched() -> None:
    """Events that come fast are committed twice a second, not one by one."""
    journal = MemoryJournal(Run().whole(1000))

    class Slow(Recorder):
        def handle(self, delivery: Delivery) -> None:
            super().handle(delivery)
            world.clock.now += 0.01

    world = World(journal, Slow())
    assert world.feed.run() is Ending.DONE
    assert 10 <= world.tracker.calls.count("flush") <= 30
