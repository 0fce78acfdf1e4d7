"""DRYTorch's own trackers and ours, given the same events, print and write the same."""

import copy
import io
import json
import logging
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import upstream_events as ev
from deliveries import RUN_ID, deliver, files, origin
from drytorch_schemas import events
from drytorch_trackers import BuiltinLogger, CSVDumper, TqdmLogger, TrackerContext
from drytorch_trackers.base import Tracker
from screen import show

SCRIPT = Path(__file__).parents[1] / "support" / "upstream.py"
#: Options by DRYTorch's mode.
MODES: dict[str, dict[str, Any]] = {
    "standard": {"verbosity": 23, "tqdm": {}},
    "standard without tqdm": {"verbosity": 21},
    "hydra": {"verbosity": 21, "tqdm": {"leave": False}},
    "minimal": {"verbosity": 28, "tqdm": {"enable_training_bar": True}},
    "minimal without tqdm": {"verbosity": 23, "formatter": "progress"},
    "everything": {"verbosity": 1},
}
RUNS = {"training": ev.TRAINING, "early stop": ev.EARLY_STOP, "odd": ev.ODD, "resumed": ev.RESUMED}
CSV_RUNS: dict[str, list[ev.Run]] = {
    "training": [ev.TRAINING],
    "values": [ev.VALUES],
    "resume": [ev.TRAINING, ev.RESUMED],
    "plain id": [ev.with_run_id(ev.TRAINING, "my run")],
    "odd names": [ev.ODD],
}


def scenarios(folder: Path) -> list[dict[str, Any]]:
    """Name everything that DRYTorch is to do, each in a folder of its own."""
    console = [
        {"folder": str(folder / mode / name), "options": options, "runs": [run]}
        for mode, options in MODES.items()
        for name, run in RUNS.items()
    ]
    written = [
        {
            "folder": str(folder / "csv" / name),
            "options": {"csv": {"par_dir": str(folder / "csv" / name)}},
            "runs": runs,
        }
        for name, runs in CSV_RUNS.items()
    ]
    return console + written


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let DRYTorch's trackers play all scenarios in one process."""
    folder = tmp_path_factory.mktemp("upstream")
    spec = folder / "spec.json"
    spec.write_text(json.dumps(scenarios(folder)))
    command = [sys.executable, str(SCRIPT), str(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def clean_logger() -> Iterator[None]:
    """Put the logger back as it was."""
    logger = logging.getLogger("drytorch")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before


def make(name: str, fields: dict[str, Any]) -> events.Event:
    """Return our event."""
    event_class: type[events.Event] = getattr(events, name)
    return event_class(**ev.typed(copy.deepcopy(fields)))


def play(trackers: list[Tracker], runs: list[ev.Run], par_dir: Path) -> None:
    """Give each event to all trackers, in their order."""
    for tracker in trackers:
        tracker.setup(TrackerContext(par_dir, "worker"))
    seq = 1
    for run in runs:
        source = origin(run_id=run[0][1]["run_id"])
        for delivery in deliver([make(*each) for each in run], source, first=seq):
            seq += 1
            for tracker in trackers:
                tracker.handle(delivery)
    for tracker in trackers:
        tracker.flush()
        tracker.clean_up()


@pytest.mark.usefixtures("clean_logger")
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("mode", MODES)
def test_console(theirs: Path, tmp_path: Path, mode: str, run: str) -> None:
    """In each mode the same screen is left behind."""
    stream = io.StringIO()
    options = dict(MODES[mode])
    trackers: list[Tracker] = []
    bars = options.pop("tqdm", None)
    trackers.append(BuiltinLogger(stream=stream, **options))
    if bars is not None:
        trackers.append(TqdmLogger(file=stream, **bars))
    play(trackers, [RUNS[run]], tmp_path)
    with (theirs / mode / run / "console.txt").open(newline="") as file:
        expected = file.read()
    assert "Trainer" in expected or mode == "minimal without tqdm"
    assert show(stream.getvalue()) == show(expected)
    if bars is None:
        # without bars there is no timing in it: byte for byte but for the clock
        assert ev.without_clock(stream.getvalue()) == ev.without_clock(expected)


@pytest.mark.parametrize("name", CSV_RUNS)
def test_csv(theirs: Path, tmp_path: Path, name: str) -> None:
    """The same files with the same bytes are written."""
    for part in range(len(CSV_RUNS[name])):
        play([CSVDumper()], CSV_RUNS[name][: part + 1], tmp_path)
    expected = files(theirs / "csv" / name)
    assert expected
    assert files(tmp_path) == expected


def test_csv_is_read_alike(tmp_path: Path) -> None:
    """A run that was logged again after a resume is loaded as its last pass, up to an epoch."""
    dumper = CSVDumper()
    dumper.make_current(
        experiment="Exp", run_id=RUN_ID, run=origin().run, par_dir=tmp_path, resumed=True
    )
    dumper.reset_current()
    play([CSVDumper()], [ev.TRAINING, ev.RESUMED], tmp_path)
    loaded = dumper.load_metrics("net")
    assert loaded["Trainer"] == ([2, 3], {"loss": [0.25, 0.125], "accuracy": [0.5, 1.0]})
    assert dumper.load_metrics("net", 2)["Trainer"][0] == [2]
    assert dumper.load_metrics("net", 0) == {}
    assert math.isclose(dumper.read_csv("net", "Trainer")[1]["loss"][0], 0.25)
