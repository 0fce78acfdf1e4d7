"""The engine: order, context, retries, dead letters, isolation, flush before commit."""

import sys

import pytest

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope, Origin, encode, encode_fields
from drytorch_schemas.topics import TopicFilter
from drytorch_trackers.base import Delivery, Tracker, TrackerContext
from drytorch_trackers.boundary import Boundary
from drytorch_trackers.engine import Engine, kinds_wanted
from drytorch_trackers.errors import FolderTakenError, InterruptedWorkError
from drytorch_trackers.hosted import Pace, Policy, one_line
from feeding import Clock, MemoryJournal, Recorder, Run, away, engine_of


class Failing(Recorder):
    """Raises at chosen offsets, so many times each."""

    def __init__(self, failures: dict[int, int], error: BaseException | None = None) -> None:
        super().__init__()
        self.failures = dict(failures)
        self.error = error or RuntimeError("no")

    def handle(self, delivery: Delivery) -> None:
        """Raise while failures are left for this offset."""
        if self.failures.get(delivery.offset, 0) > 0:
            self.failures[delivery.offset] -= 1
            raise self.error
        super().handle(delivery)


ALWAYS = 1_000_000


def feed(engine: Engine, journal: MemoryJournal, start: int = 0) -> None:
    """Give an engine a journal's records from an offset on, then commit."""
    for offset, payload in list(enumerate(journal.payloads))[start:]:
        engine.handle(offset, payload)
    engine.commit(len(journal.payloads))


def test_every_tracker_is_given_every_event_in_order() -> None:
    """Two trackers see the same events in the journal's order, and the cursor is at its end."""
    journal, clock = MemoryJournal(Run().whole(5)), Clock()
    first, second = Recorder(), Recorder()
    feed(engine_of(first, second, journal=journal, clock=clock), journal)
    assert first.offsets() == second.offsets() == list(range(8))
    assert journal.cursor == 8
    assert first.flushed == 8


def test_a_passing_failure_is_tried_again() -> None:
    """An event that fails twice is handled at the third attempt, after growing pauses (D7)."""
    journal, clock = MemoryJournal(Run().whole(2)), Clock()
    tracker = Failing({2: 2})
    engine = engine_of(tracker, journal=journal, clock=clock)
    feed(engine, journal)
    assert tracker.offsets() == list(range(5))
    assert clock.slept == [0.1, 0.5]
    assert journal.letters == []
    assert engine.failures == 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("two\nlines"),
        SystemExit(3),
        KeyboardInterrupt(),
        MemoryError(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_fails_always_becomes_a_dead_letter(error: BaseException) -> None:
    """Whatever a tracker raises, sys.exit included, costs it one event and nobody else any."""
    journal, clock = MemoryJournal(Run().whole(3)), Clock()
    bad, good = Failing({3: ALWAYS}, error), Recorder()
    engine = engine_of(bad, good, journal=journal, clock=clock)
    feed(engine, journal)
    assert bad.offsets() == [0, 1, 2, 4, 5]
    assert good.offsets() == list(range(6))
    (letter,) = journal.letters
    assert (letter.offset, letter.tracker, letter.topic) == (3, "t0", "Exp/r/Metric/")
    assert letter.error.startswith(type(error).__name__)
    assert "\n" not in letter.error
    assert journal.cursor == 6
    assert clock.slept == [0.1, 0.5, 2.0]


def test_an_error_that_cannot_be_printed() -> None:
    """An exception whose text cannot be had is named by its class."""

    class Silent(Exception):  # noqa: N818  # the name is the test
        def __str__(self) -> str:
            raise ValueError("no text")

    assert one_line(Silent()) == "Silent"
    assert len(one_line(RuntimeError("x" * 10_000))) == 2000


def test_an_error_does_not_steer_the_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """Control characters of an error are spelled out in the traceback, whose lines stay."""
    journal = MemoryJournal(Run().whole(1))
    bad = Failing({3: ALWAYS}, RuntimeError("\x1b[2J"))
    feed(engine_of(bad, journal=journal, clock=Clock()), journal)
    (line,) = [each for each in caplog.messages if "Traceback" in each]
    assert line.splitlines()[-1] == r"RuntimeError: \x1b[2J"
    assert "\x1b" not in line


def test_too_many_failures_in_a_row_stop_the_tracker() -> None:
    """After the twentieth dead letter in a row a tracker is given nothing; the others go on."""
    journal, clock = MemoryJournal(Run().whole(40)), Clock()
    bad, good = Failing(dict.fromkeys(range(100), ALWAYS)), Recorder()
    said: list[str] = []
    engine = Engine({"bad": bad, "good": good}, journal, pace=clock.pace(), on_failure=said.append)
    feed(engine, journal)
    assert engine.alive
    assert len(journal.letters) == 20
    assert good.offsets() == list(range(43))
    assert len(said) == 2
    assert "bad is stopped: 20 events in a row failed (RuntimeError: no)" in said[1]
    assert sum(clock.slept) < 15  # seconds that the others wait, all in all


def test_a_success_breaks_the_row() -> None:
    """Ten thousand dead letters with a success now and then do not stop a tracker."""
    journal, clock = MemoryJournal(Run().whole(500)), Clock()
    bad = Failing({offset: ALWAYS for offset in range(500) if offset % 15})
    engine = engine_of(bad, journal=journal, clock=clock)
    feed(engine, journal)
    assert engine.alive
    assert len(journal.letters) == len([offset for offset in range(500) if offset % 15])


def test_a_kind_that_always_fails_costs_little_time() -> None:
    """When all but one kind of event is handled, that kind's failures are soon not waited for."""
    run = Run()
    payloads = [run.start()]
    for epoch in range(50):
        payloads += [run.metric(epoch), run.actor(f"a{epoch}")]
    journal, clock = MemoryJournal(payloads), Clock()
    bad = Failing(dict.fromkeys(range(1, 101, 2), ALWAYS))
    feed(engine_of(bad, journal=journal, clock=clock), journal)
    assert len(journal.letters) == 50
    assert clock.slept == [0.1, 0.5, 2.0, *[0.1] * 49]


def test_nothing_is_committed_before_it_is_flushed() -> None:
    """A tracker that cannot flush is stopped, and its cursor stays where it was."""

    class Unflushable(Recorder):
        def flush(self) -> None:
            raise OSError("disk full")

    journal, clock = MemoryJournal(Run().whole(2)), Clock()
    engine = engine_of(Unflushable(), journal=journal, clock=clock)
    feed(engine, journal)
    assert not engine.alive
    assert journal.cursor == 0
    shared = MemoryJournal(Run().whole(2))
    engine = engine_of(Unflushable(), Recorder(), journal=shared, clock=clock)
    feed(engine, shared)
    assert engine.alive
    assert shared.cursor == 5
    assert [letter.tracker for letter in shared.letters] == ["t0"]


def test_dead_letters_go_before_the_cursor() -> None:
    """A commit that fails leaves the dead letters pending and the cursor behind them."""
    journal, clock = MemoryJournal(Run().whole(2)), Clock()
    engine = engine_of(Failing({2: ALWAYS}), journal=journal, clock=clock)
    for offset, payload in enumerate(journal.payloads):
        engine.handle(offset, payload)
    journal.away = away
    with pytest.raises(Exception, match="away"):
        engine.commit(5)
    assert (journal.cursor, journal.letters) == (0, [])
    journal.away = lambda: None
    assert engine.commit(5)
    assert (journal.cursor, len(journal.letters)) == (5, 1)


def test_setup_that_raises_costs_only_its_tracker() -> None:
    """A tracker that cannot be set up is given nothing and not cleaned up; the other works."""

    class NoSetup(Recorder):
        def setup(self, context: TrackerContext) -> None:  # noqa: ARG002  # as in the base class
            sys.exit("no backend")

    journal, clock = MemoryJournal(Run().whole(2)), Clock()
    bad, good = NoSetup(), Recorder()
    engine = engine_of(bad, good, journal=journal, clock=clock)
    engine.setup(TrackerContext(par_dir=__file__))  # type: ignore[arg-type]  # nobody looks
    feed(engine, journal)
    engine.clean_up()
    assert (bad.seen, bad.calls) == ([], [])
    assert good.offsets() == list(range(5))
    assert engine.failures


def test_clean_up_that_raises_costs_only_its_tracker() -> None:
    """All trackers are cleaned up although the first's clean-up raises, which is counted (D7)."""

    class NoCleanUp(Recorder):
        def clean_up(self) -> None:
            raise RuntimeError("still busy")

    clock = Clock()
    good = Recorder()
    engine = engine_of(NoCleanUp(), good, journal=MemoryJournal(), clock=clock)
    engine.clean_up()
    assert good.calls == ["clean_up"]
    assert engine.failures == 1
    assert clock.slept == []


def test_a_late_start_is_given_the_context_first() -> None:
    """A worker that starts in the middle is given start and registrations, marked as replayed."""
    journal, clock = MemoryJournal(Run().whole(5)), Clock()
    tracker = Recorder()
    feed(engine_of(tracker, journal=journal, clock=clock), journal, start=4)
    assert tracker.offsets(replayed=True) == [0, 1]
    assert tracker.offsets() == [4, 5, 6, 7]
    assert [each.replayed for each in tracker.seen[:3]] == [True, True, False]


def test_a_plotter_is_given_the_whole_run() -> None:
    """Only a tracker that wants the whole run gets what lies between context and start."""

    class Plotter(Recorder):
        wants_whole_run = True

    journal, clock = MemoryJournal(Run().whole(5)), Clock()
    plotter, plain = Plotter(), Recorder()
    feed(engine_of(plotter, plain, journal=journal, clock=clock), journal, start=5)
    assert plotter.offsets(replayed=True) == [0, 1, 2, 3, 4]
    assert plain.offsets(replayed=True) == [0, 1]
    assert plotter.offsets() == plain.offsets() == [5, 6, 7]


def test_context_that_cannot_be_had_yet_is_asked_for_again() -> None:
    """When the broker goes away while context is given, all of it comes at the next attempt."""
    journal, clock = MemoryJournal(Run().whole(3)), Clock()
    tracker = Recorder()
    engine = engine_of(tracker, journal=journal, clock=clock)
    journal.away = away
    with pytest.raises(Exception, match="away"):
        engine.handle(3, journal.payloads[3])
    assert tracker.seen == []
    journal.away = lambda: None
    engine.handle(3, journal.payloads[3])
    assert [each.offset for each in tracker.seen] == [0, 1, 3]


def test_context_that_comes_again_is_given_once() -> None:
    """What a client repeats for a broker that lost it reaches a tracker only if it is news."""
    run = Run()
    payloads = [run.start(), run.actor(), run.metric(1), run.start(again=True), run.metric(2)]
    journal, clock = MemoryJournal(payloads), Clock()
    tracker = Recorder()
    feed(engine_of(tracker, journal=journal, clock=clock), journal)
    assert tracker.offsets() == [0, 1, 2, 4]
    fresh = Recorder()
    feed(engine_of(fresh, journal=MemoryJournal(payloads[3:]), clock=clock), journal, start=3)
    assert [each.replayed for each in fresh.seen] == [True, False]


def test_an_earlier_start_of_a_resumed_run_is_passed_over() -> None:
    """A worker of a resumed run begins with the resumed start, and the old loss does not end it."""
    old, new = Run(1, producer="a" * 32), Run(1, producer="b" * 32)
    lost = events.RunLostEvent(producer="a" * 32, reason="gone")
    note = encode(Envelope(Run(1, producer="broker-1").origin, 9, 200, lost))
    payloads = [
        old.start(time=10),
        old.metric(1, time=20),
        note,
        new.start(resumed=True, time=100),
        note,
        new.metric(2, time=110),
        new.stop(time=120),
    ]
    journal, clock = MemoryJournal(payloads), Clock()
    tracker = Recorder()
    engine = Engine({"t": tracker}, journal, pace=clock.pace(), boundary=Boundary(100))
    for offset, payload in enumerate(payloads[:-1]):
        engine.handle(offset, payload)
        assert not engine.runs.all_over
    engine.handle(6, payloads[6])
    assert tracker.offsets() == [3, 4, 5, 6]
    assert engine.runs.all_over


def test_unknown_kinds_and_unreadable_records() -> None:
    """A newer writer's kind is passed over, unless named; what is no envelope is told (E5)."""

    class Curious(Recorder):
        kinds = frozenset({"FromTheFuture"})

    run = Run()
    newer = encode_fields(run.origin, "FromTheFuture", 9, 9, {"a": 1})
    wrong = encode_fields(run.origin, "Metric", 9, 9, {"epoch": "x"})
    journal, clock = MemoryJournal([run.start(), newer, b"\xc1", wrong, run.stop()]), Clock()
    plain, curious = Recorder(), Curious()
    engine = engine_of(plain, curious, journal=journal, clock=clock)
    feed(engine, journal)
    assert plain.offsets() == [0, 4]
    assert curious.offsets() == [1]
    assert [(letter.offset, letter.tracker) for letter in journal.letters] == [(2, ""), (3, "")]
    assert engine.failures == 2


def test_filters_and_kinds() -> None:
    """Other runs' events are passed over, and the kinds to fetch include what the loop needs."""

    class Metrics(Tracker):
        kinds = frozenset({"Metric"})

    one, two = Run(1, "r1"), Run(2, "r2")
    payloads = [one.start(), two.start(), one.metric(1), two.metric(1)]
    journal, clock = MemoryJournal(payloads), Clock()
    tracker = Recorder()
    engine = Engine({"t": tracker}, journal, filters=[TopicFilter(run_id="r2")], pace=clock.pace())
    feed(engine, journal)
    assert tracker.offsets() == [1, 3]
    assert kinds_wanted([Recorder()]) == ()
    assert {"Metric", "StopExperiment", "RunLost"} < set(kinds_wanted([Metrics()]))


def test_live_events_go_to_whom_they_interest() -> None:
    """A live event reaches whoever wants it, if its run is known, and may fail quietly."""

    class Live(Failing):
        wants_live = True

    run = Run()
    journal, clock = MemoryJournal([run.start()]), Clock()
    live, plain = Live({-1: 1}), Recorder()
    engine = engine_of(live, plain, journal=journal, clock=clock)
    event = events.BatchProgressEvent(source_name="Trainer", pass_id=1, batches=3)
    engine.handle_live(Envelope(run.origin, 0, 1, event))
    feed(engine, journal)
    engine.handle_live(Envelope(run.origin, 0, 1, event))
    assert [each.offset for each in live.seen] == [0]
    engine.handle_live(Envelope(run.origin, 0, 2, event))
    assert [each.offset for each in live.seen] == [0, -1]
    assert len(plain.seen) == 1
    assert engine.failures == 0


def test_a_taken_folder_is_waited_for_or_told() -> None:
    """A local worker waits for the folder as long as it takes; another one is told at once."""
    payloads = Run().whole(1)
    clock = Clock()
    waiting = Failing({0: 50}, FolderTakenError("taken"))
    journal = MemoryJournal(payloads)
    policy = Policy(wait_for_folder=True)
    feed(engine_of(waiting, journal=journal, clock=clock, policy=policy), journal)
    assert waiting.offsets() == list(range(4))
    assert journal.letters == []
    refused = engine_of(Failing({0: 50}, FolderTakenError("taken")), journal=journal, clock=clock)
    with pytest.raises(FolderTakenError):
        refused.handle(0, payloads[0])


def test_leaving_in_the_middle_of_retries() -> None:
    """A worker that is asked to leave does not put aside the event that fails right now."""
    journal, clock = MemoryJournal(Run().whole(1)), Clock()
    pace = Pace(clock.sleep, leaving=lambda: len(clock.slept) > 1)
    engine = Engine({"t": Failing({1: ALWAYS})}, journal, pace=pace)
    engine.handle(0, journal.payloads[0])
    with pytest.raises(InterruptedWorkError):
        engine.handle(1, journal.payloads[1])
    assert engine.pending == []


def test_many_runs_leave_little_behind() -> None:
    """Of runs that are over the book keeps the latest only, so that memory stays bounded."""
    engine = engine_of(Recorder(), journal=MemoryJournal(), clock=Clock())
    started = events.RunFoundEvent(producer="p")
    stopped = events.StopExperimentEvent(exp_name="Exp", run_id="r")
    for number in range(10_500):
        origin = Origin("p" * 32, "Exp", "r", f"{number:032x}", 0, "host")
        engine.runs.note(Envelope(origin, 1, 1, started))
        engine.runs.note(Envelope(origin, 2, 2, stopped))
    assert engine.runs.met == 10_500
    assert engine.runs.all_over
    assert sum(f"{number:032x}" in engine.runs for number in range(10_500)) == 10_000
