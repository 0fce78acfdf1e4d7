"""Progress bars: cumulative, tolerant of what is lost or late, closed before what ends them."""

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deliveries import deliver, origin, start, stop
from drytorch_client.declarations import declare
from drytorch_schemas import events
from drytorch_trackers import BuiltinLogger, Delivery, TqdmLogger, TrackerContext
from screen import show

FULL = "        Trainer: 100%|##########| 5/5, times, Samples=18, loss=5.000e-01"


@pytest.fixture(autouse=True)
def clean_logger() -> Iterator[None]:
    """Put the console's logger back as it was."""
    logger = logging.getLogger("drytorch")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture
def stream() -> io.StringIO:
    """Return what stands for a terminal."""
    return io.StringIO()


@pytest.fixture
def bars(stream: io.StringIO, tmp_path: Path) -> TqdmLogger:
    """Return a tracker that draws on the stream."""
    tracker = TqdmLogger(file=stream)
    tracker.setup(TrackerContext(tmp_path))
    return tracker


def iterate(pass_id: int = 1, source: str = "Trainer") -> events.IterateBatchEvent:
    """Return the start of a pass of five batches."""
    return events.IterateBatchEvent(
        source_name=source, batch_size=4, n_iter=5, dataset_size=18, pass_id=pass_id
    )


def progress(
    batches: int,
    pass_id: int = 1,
    *,
    source: str = "Trainer",
    final: bool = False,
    loss: float = 0.5,
) -> events.BatchProgressEvent:
    """Return how far a pass is; the client caps nothing here."""
    return events.BatchProgressEvent(
        source_name=source,
        pass_id=pass_id,
        batches=batches,
        samples=4 * batches,
        metrics={"loss": loss},
        final=final,
    )


def give(tracker: TqdmLogger, *happened: events.Event, run: str = "0" * 32) -> None:
    """Let the tracker handle events of a run."""
    for delivery in deliver(happened, origin(run)):
        tracker.handle(delivery)


@pytest.mark.parametrize(
    "batches",
    [[1, 2, 3, 4, 5], [5], [2, 5], [3, 1, 2, 5, 4, 5, 1]],
    ids=["all", "only the last", "some lost", "late and repeated"],
)
def test_finished_bar_is_right(bars: TqdmLogger, stream: io.StringIO, batches: list[int]) -> None:
    """Whatever was lost, late or repeated on the way, a finished bar shows the whole pass."""
    give(bars, iterate(), *(progress(n, final=n == 5) for n in batches))
    assert show(stream.getvalue()) == [FULL, ""]


def test_values_of_joined_ranks(bars: TqdmLogger, stream: io.StringIO) -> None:
    """What comes without a further batch is shown when the bar closes, as long as it is open."""
    end = events.EndEpochEvent(source_name="Trainer", model_name="net", epoch=1)
    give(bars, iterate(), progress(3), progress(3, loss=0.25), end)
    give(bars, iterate(2), progress(5, 2), progress(5, 2, loss=0.25, final=True), end)
    assert [line.rpartition("| ")[2] for line in show(stream.getvalue())] == [
        "3/5, times, Samples=12, loss=2.500e-01",
        "5/5, times, Samples=18, loss=5.000e-01",
        "",
    ]


@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        ({}, True),
        ({"leave": False}, False),
        ({"enable_training_bar": True}, False),
        ({"leave": False, "notebook": False}, True),
    ],
)
def test_bars_in_notebooks(
    tmp_path: Path, stream: io.StringIO, options: dict[str, bool], *, drawn: bool
) -> None:
    """In a notebook a bar that would vanish is not drawn; the training's bar always is."""
    tracker = TqdmLogger(file=stream, **{"notebook": True, **options})
    tracker.setup(TrackerContext(tmp_path))
    names = {"source_name": "Trainer", "model_name": "net"}
    give(tracker, events.StartTrainingEvent(**names, start_epoch=0, end_epoch=1))
    give(tracker, iterate(), progress(5, final=True))
    give(tracker, events.EndTrainingEvent(source_name="Trainer"))
    assert ("Trainer:" in stream.getvalue()) == drawn
    assert ("Epoch:" in stream.getvalue()) == ("enable_training_bar" in options)


def test_other_passes_are_ignored(bars: TqdmLogger, stream: io.StringIO) -> None:
    """Progress of an earlier pass, of another source or without a pass moves nothing."""
    give(bars, progress(5, 1, final=True), iterate(2))
    give(bars, progress(4, 1), progress(3, 2, source="Test"), progress(1, 2))
    give(bars, events.EndEpochEvent(source_name="Trainer", model_name="net", epoch=1))
    shown = show(stream.getvalue())
    assert [line.rpartition("| ")[2] for line in shown] == [
        "1/5, times, Samples=4, loss=5.000e-01",
        "",
    ]


def test_broken_off_pass(bars: TqdmLogger, stream: io.StringIO) -> None:
    """A pass that ends early leaves its bar where it was, and closes it."""
    give(bars, iterate(), progress(1), progress(2), progress(2, final=True), progress(4))
    assert show(stream.getvalue())[0].rpartition("| ")[2].startswith("2/5, times, Samples=8")
    assert show(stream.getvalue())[1:] == [""]


def test_sizes_may_be_unknown(bars: TqdmLogger, stream: io.StringIO) -> None:
    """Without a number of batches or samples the bar counts what it can."""
    give(
        bars,
        events.IterateBatchEvent(
            source_name="Stream", batch_size=None, n_iter=None, dataset_size=None, pass_id=1
        ),
        events.BatchProgressEvent(source_name="Stream", pass_id=1, batches=7, final=True),
    )
    (line, _) = show(stream.getvalue())
    assert line.endswith("7/?, times, Samples=?")


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        (stop(), "[time] - Experiment: Exp - Stopping run: 2025-08-01@12h54m21s"),
        (
            events.RunLostEvent(producer="p", reason="gone"),
            "[time] - Experiment: Exp - Lost run: 2025-08-01@12h54m21s (gone)",
        ),
        (
            events.TerminatedTrainingEvent(
                source_name="Trainer", model_name="net", epoch=1, reason="diverged"
            ),
            "[time] - Training net terminated at epoch 1. Reason: diverged",
        ),
    ],
)
def test_open_bar_closes_above_the_line(
    tmp_path: Path, stream: io.StringIO, ending: events.Event, line: str
) -> None:
    """A bar that a diverged or lost run leaves open is closed before the line that says so."""
    trackers = [BuiltinLogger(23, stream), TqdmLogger(file=stream)]
    for tracker in trackers:
        tracker.setup(TrackerContext(tmp_path))
    for delivery in deliver([iterate(), progress(1), ending]):
        for tracker in trackers:
            tracker.handle(delivery)
    bar, *rest = show(stream.getvalue())
    assert bar.startswith("        Trainer:  20%|##        | 1/5, times")
    assert rest == [line, ""]


def test_training_bar(tmp_path: Path, stream: io.StringIO) -> None:
    """The training's bar counts epochs as they start, above bars that vanish."""
    tracker = TqdmLogger(enable_training_bar=True, file=stream)
    tracker.setup(TrackerContext(tmp_path))
    names = {"source_name": "Trainer", "model_name": "net"}
    give(tracker, events.StartTrainingEvent(**names, start_epoch=2, end_epoch=4))
    assert show(stream.getvalue())[0] == "Epoch::   0%|          | 0/2, times"
    for epoch in (3, 4):
        give(tracker, events.StartEpochEvent(**names, epoch=epoch, end_epoch=4))
        give(tracker, iterate(epoch), progress(5, epoch, final=True))
    give(tracker, events.EndTrainingEvent(source_name="Trainer"))
    assert [line for line in show(stream.getvalue()) if line] == [
        "Epoch: 4 / 4: 100%|##########| 2/2, times"
    ]


def test_runs_at_once_have_lines_of_their_own(bars: TqdmLogger, stream: io.StringIO) -> None:
    """Two runs with equal names draw two bars, and one's end closes its own only."""
    give(bars, start(), iterate(), run="a" * 32)
    give(bars, start(), iterate(), run="b" * 32)
    give(bars, progress(2), stop(), run="b" * 32)
    give(bars, progress(5, final=True), stop(), run="a" * 32)
    ended, going_on = [line for line in show(stream.getvalue()) if line]
    assert "2/5" in ended
    assert going_on == FULL


def test_names_cannot_control_the_terminal(bars: TqdmLogger, stream: io.StringIO) -> None:
    """Control characters in names of sources and metrics are spelled out."""
    name = "\x1b]0;x\x07\n"
    give(
        bars,
        iterate(source=name),
        events.BatchProgressEvent(
            source_name=name, pass_id=1, batches=5, metrics={name: 1.0}, final=True
        ),
    )
    out = stream.getvalue()
    assert "\x1b]" not in out
    assert r"\x1b]0;x\x07\n: 100%" in out
    assert r"\x1b]0;x\x07\n=1.000e+00" in out
    assert out.count("\n") == 1


def test_replayed_and_cleaned_up(
    bars: TqdmLogger, stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is drawn for what came before, and cleaning up closes what is open, once."""
    (delivery,) = deliver([iterate()])
    bars.handle(Delivery(delivery.envelope, 0, replayed=True))
    assert stream.getvalue() == ""
    bars.handle(delivery)
    bars.clean_up()
    bars.clean_up()
    assert show(stream.getvalue()) == ["        Trainer:   0%|          | 0/5, times", ""]
    assert capsys.readouterr() == ("", "")


def test_declaration() -> None:
    """A standard stream travels by its name; any other text is refused."""
    assert declare(TqdmLogger(file=sys.stdout, leave=False)).kwargs == {
        "leave": False,
        "enable_training_bar": False,
        "file": "stdout",
        "notebook": False,
    }
    with pytest.raises(ValueError, match="Stream 'stdlog' is unknown"):
        TqdmLogger(file="stdlog")  # type: ignore[arg-type]  # the mistake that is tested
