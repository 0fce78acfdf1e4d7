"""What the SQL tracker gives back."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries import RUN_ID, deliver, feed, metric, origin, start, stop
from drytorch_schemas import events
from drytorch_trackers import Delivery, SQLConnection, TrackerContext, TrackerError
from drytorch_trackers.sql_reader import History

OTHER_RUN = origin("1" * 32, RUN_ID, "another")


def url_in(folder: Path) -> str:
    """Return the URL of a database."""
    return f"sqlite:///{folder}/metrics.db"


def loader(folder: Path, *, resumed: bool = False, run: str = origin().run) -> SQLConnection:
    """Return a tracker that knows the run which it was subscribed to."""
    tracker = SQLConnection(url_in(folder))
    tracker.make_current(experiment="Exp", run_id=RUN_ID, run=run, par_dir=folder, resumed=resumed)
    tracker.reset_current()
    return tracker


def write(folder: Path, *happened: events.Event, first: int = 1) -> None:
    """Write events of one run."""
    feed(SQLConnection(url_in(folder)), deliver(happened, first=first), folder)


def test_sources_epochs_and_metrics(tmp_path: Path) -> None:
    """Each source has its own epochs; where a metric has no value there, it is NaN."""
    write(
        tmp_path,
        start(),
        metric(1, loss=0.5),
        metric(2, loss=1.0, late=1.0),
        metric(2, "Test", loss=math.nan),
        metric(1, model="other", x=1),
        metric(1, step=4, loss=9),
        metric(3, "Steps", step=4, loss=9),
        metric(3, loss=1.5),
    )
    loaded = loader(tmp_path).load_metrics("net")
    assert list(loaded) == ["Trainer", "Test"]
    assert loaded["Trainer"][0] == [1, 2, 3]
    assert str(loaded["Trainer"][1]) == "{'loss': [0.5, 1.0, 1.5], 'late': [nan, 1.0, nan]}"
    assert str(loaded["Test"]) == "([2], {'loss': [nan]})"
    assert loader(tmp_path).load_metrics("net", 2)["Trainer"][0] == [1, 2]
    assert loader(tmp_path).load_metrics("net", 0) == {}


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    """An unknown model, a wrong epoch and a tracker without a run are named."""
    actor = events.ActorRegistrationEvent(
        actor_name="Trainer",
        actor_ts=start().run_ts,
        model_name="net",
        model_ts=start().run_ts,
        metadata={},
    )
    write(tmp_path, start(), actor)
    tracker = loader(tmp_path)
    assert tracker.load_metrics("net") == {}
    with pytest.raises(TrackerError, match="no source for model 'nett'"):
        tracker.load_metrics("nett")
    with pytest.raises(ValueError, match="max_epoch is -2"):
        tracker.load_metrics("net", -2)
    with pytest.raises(TrackerError, match="no current run"):
        SQLConnection(url_in(tmp_path)).load_metrics("net")


def test_epochs_that_were_logged_again(tmp_path: Path) -> None:
    """A resumed run goes on from an earlier epoch and replaces what was logged from there on."""
    before = [metric(epoch, loss=epoch, extra=1) for epoch in (1, 2, 3, 4)]
    after = [metric(epoch, loss=10 * epoch) for epoch in (3, 4, 5)]
    write(tmp_path, start(), *before)
    write(tmp_path, start(resumed=True), *after, stop(), first=6)
    epochs, values = loader(tmp_path, resumed=True).load_metrics("net")["Trainer"]
    assert epochs == [1, 2, 3, 4, 5]
    assert values["loss"] == [1, 2, 30, 40, 50]
    assert str(values["extra"]) == "[1.0, 1.0, nan, nan, nan]"


def test_another_run_of_equal_names_is_not_mixed_in(tmp_path: Path) -> None:
    """Runs are told apart by their UUID, whatever they are called."""
    write(tmp_path, start(), metric(1, loss=1))
    theirs = deliver([start(), metric(1, loss=7), metric(2, loss=7)], OTHER_RUN)
    feed(SQLConnection(url_in(tmp_path)), theirs, tmp_path)
    for resumed in (False, True):
        tracker = loader(tmp_path, resumed=resumed)
        assert tracker.load_metrics("net") == {"Trainer": ([1], {"loss": [1.0]})}


def test_a_worker_reads_what_it_has_not_written_yet(tmp_path: Path) -> None:
    """Loading inside a worker sees every event that was handled, of the run at hand."""
    tracker = SQLConnection(url_in(tmp_path))
    tracker.setup(TrackerContext(tmp_path))
    mine = deliver([start(), metric(1, loss=1)])
    theirs = deliver([start(), metric(1, loss=7)], OTHER_RUN)
    for delivery in [*theirs, *mine]:
        tracker.handle(delivery)
    assert tracker.load_metrics("net") == {"Trainer": ([1], {"loss": [1.0]})}
    tracker.clean_up()


def test_large_batches(tmp_path: Path) -> None:
    """More than one transaction's worth of events and of values keeps its order and its rows."""
    many = {f"m{number}": float(number) for number in range(3000)}
    happened = [start(), *(metric(epoch, x=epoch) for epoch in range(1, 1201))]
    write(tmp_path, *happened, metric(1201, values=many), metric(1202, values=many))
    loaded = loader(tmp_path).load_metrics("net")["Trainer"]
    assert loaded[0] == list(range(1, 1203))
    assert loaded[1]["x"][:1200] == list(range(1, 1201))
    assert loaded[1]["m2999"][1200:] == [2999.0, 2999.0]


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 6)), max_size=30))
def test_history_is_the_last_pass(passes: list[tuple[int, int]]) -> None:
    """Epochs only rise; a pass that goes back replaces what came at its epoch and after."""
    history = History()
    logged: list[tuple[int, int]] = []
    for number, (source, epoch) in enumerate(passes):
        history.add(source, epoch, "x", number)
        history.add(source, epoch, "y", number)
        logged = [(at, value) for at, value in logged if at < epoch] + [(epoch, number)]
    epochs, values = history.columns()
    assert epochs == [epoch for epoch, _ in logged]
    expected = [value for _, value in logged]
    assert values == ({"x": expected, "y": expected} if passes else {})


def test_calls_with_nothing_to_do(tmp_path: Path) -> None:
    """A flush with nothing to write, an event twice and a second clean-up do no harm."""
    tracker = SQLConnection(url_in(tmp_path))
    tracker.setup(TrackerContext(tmp_path))
    tracker.flush()
    tracker.clean_up()
    delivery: Delivery = deliver([metric(1, x=1)])[0]
    tracker.handle(delivery)
    tracker.handle(delivery)
    tracker.clean_up()
    tracker.clean_up()
    assert loader(tmp_path).load_metrics("net") == {"Trainer": ([1], {"x": [1.0]})}
