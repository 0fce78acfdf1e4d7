"""The fixture `bus`: runs report into memory, without processes and files; misuse is explained."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from doc_blocks import save_blocks
from drytorch_client import Experiment, scope
from drytorch_client.errors import EventTooLargeError, NotATrackerError, RunAlreadyRecordedError
from drytorch_client.in_memory import InMemory
from drytorch_client.run import Run
from drytorch_schemas import events
from drytorch_trackers import CSVDumper, MemoryTracker
from drytorch_trackers.errors import BusError
from drytorch_trackers.testing import Bus, in_memory_bus
from pages import ROOT

PAGE = ROOT / "docs" / "how-to" / "test-your-code.md"


@pytest.fixture(autouse=True)
def nothing_is_started() -> Iterator[None]:
    """Fail a test in which a thread or a process came into being."""
    threads, children = set(threading.enumerate()), psutil.Process().children()
    yield
    assert set(threading.enumerate()) == threads
    assert psutil.Process().children() == children


def train(run: Any) -> None:
    """Train for two epochs."""
    model = run.register_model(torch.nn.Linear(1, 1), name="net")
    trainer = run.register_actor(name="Trainer", model=model)
    for epoch in trainer.training(n_epochs=2):
        for _ in epoch.batches([1, 2]):
            epoch.progress(loss=1.0)
        epoch.log(loss=torch.tensor(1.0) / epoch.number)


def test_runs_report_into_memory(bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run is in memory, in order, and no file is written, also in the current folder."""
    monkeypatch.chdir(tmp_path)
    experiment = Experiment({"lr": 0.1}, name="Exp", tags=["a"])
    experiment.trackers.subscribe("csv")
    with experiment.create_run(run_id="r") as run:
        train(run)
        run.log({"hours": 1})
        assert run.flush()
        assert run.status().broker == "connected"
        run.summary["best"] = 0.5
    one_epoch = ["IterateBatch", "BatchProgress", "Metric", "EndEpoch"]
    assert bus.kinds == [
        *["StartExperiment", "ModelRegistration", "StartTraining"],
        *["StartEpoch", "ActorRegistration", *one_epoch, "StartEpoch", *one_epoch],
        *["EndTraining", "Metric", "StopExperiment"],
    ]
    assert [event.kind for event in bus.events] == bus.kinds
    assert bus.values("Trainer", "loss") == bus.values("Trainer", "loss", model="net") == [1.0, 0.5]
    assert bus.values("run", "hours") == [1]
    assert bus.of_kind(events.StopExperimentEvent)[0].summary == {"best": 0.5}
    assert {each.origin.run for each in bus.envelopes} == {run.identity.run}
    assert list(tmp_path.iterdir()) == []
    assert not bus.folder.exists()
    assert list(Path(os.environ["XDG_STATE_HOME"]).iterdir()) == []


def test_runs_are_known_within_a_test(bus: Bus) -> None:
    """Ids, statuses and resuming work as they do with files."""
    with Experiment(None, name="Exp").create_run(run_id="a") as first:
        pass
    with pytest.raises(KeyError), Experiment(None, name="Exp").create_run():
        raise KeyError
    experiment = Experiment(None, name="Exp")
    assert experiment.name == "Exp_2"
    experiment.create_run(run_id="a")
    with pytest.raises(RunAlreadyRecordedError):
        experiment.create_run(run_id="a")
    again = experiment.create_run(run_id="a", resume=True)
    assert again.resumed
    assert again.identity.run != first.identity.run
    assert [entry["status"] for entry in experiment.registry.load()] == ["created"]
    assert [event.status for event in bus.of_kind("StopExperiment")] == ["completed", "failed"]


def test_names_begin_anew(bus: Bus) -> None:
    """What other tests called their experiments does not show."""
    assert Experiment(None, name="Exp").name == "Exp"
    assert bus.events == []


def test_what_cannot_travel_is_refused(bus: Bus) -> None:
    """An event that no broker takes raises in memory as well."""
    with Experiment(None, name="Exp").create_run() as run, pytest.raises(EventTooLargeError):
        run.emit(events.CustomEvent(name="big", payload={"text": "x" * (2 << 20)}))
    assert bus.kinds == ["StartExperiment", "StopExperiment"]


def test_disabled_is_overridden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test that asks for the bus has one where reporting is switched off otherwise."""
    monkeypatch.setenv("DRYTORCH_BROKER", "disabled")
    before = Experiment(None, name="Before", par_dir=tmp_path)
    with in_memory_bus(tmp_path / "bus") as bus:
        assert os.environ["DRYTORCH_BROKER"] == "disabled"
        for experiment in (before, Experiment(None, name="Exp")):
            with experiment.create_run():
                pass
    assert bus.kinds == ["StartExperiment", "StopExperiment"] * 2
    assert os.environ["DRYTORCH_BROKER"] == "disabled"
    assert list(tmp_path.iterdir()) == []


def test_children_report_nothing(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is handed to another process is silent there, and starts nothing."""
    with Experiment(None, name="Exp").create_run() as run:
        data = pickle.dumps(run)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(InMemory, "_active", None)
            elsewhere.setattr(scope._SCOPE, "run", None)
            there: Run[None] = pickle.loads(data)  # noqa: S301 - as multiprocessing does
            there.log({"a": 1})
            assert there.status().broker == "disabled"
        run.log({"a": 2})
    assert bus.values("run", "a") == [2]


def test_feeding(bus: Bus) -> None:
    """A tracker is given what is new, in order, writes under the bus's folder, and may raise."""
    csv, memory = CSVDumper(), MemoryTracker()
    with Experiment(None, name="Exp").create_run(run_id="r") as run:
        train(run)
        assert bus.feed(memory) is memory
        half = len(memory.deliveries)
    bus.feed(memory)
    assert [each.event.kind for each in memory.deliveries if each.envelope.seq] == bus.kinds
    assert 0 < half < len(memory.deliveries)
    assert memory.flushes == 2
    assert memory.clean_ups == 1
    bus.feed(csv)
    file = bus.folder / "csv_metrics" / "Exp" / "r" / "net" / "Trainer.csv"
    assert file.read_text().count("\n") == 3

    class Broken(MemoryTracker):
        def on_metric(self, event: events.MetricEvent) -> None:
            raise ZeroDivisionError(event.source_name)

    with pytest.raises(ZeroDivisionError, match="Trainer"):
        bus.feed(Broken())
    with pytest.raises(NotATrackerError, match="is a class"):
        bus.feed(MemoryTracker)  # type: ignore[type-var]  # as somebody might


def test_a_run_that_is_left_active_fails(tmp_path: Path) -> None:
    """What was left active is stopped as failed."""
    buses = []
    with pytest.raises(BusError), in_memory_bus(tmp_path) as left:  # noqa: PT012 - a whole test
        buses.append(left)
        Experiment(None, name="Exp").create_run(run_id="r").start()
    assert buses[0].of_kind("StopExperiment")[0].status == "failed"


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda bus: bus.values("Trainr", "loss"), "No source 'Trainr'.*: 'Trainer' is close"),
        (lambda bus: bus.values("Trainer", "acc"), "Trainer' reported no 'acc': there are loss"),
        (lambda bus: bus.values("Trainer", "loss", model="x"), "of model x reported metrics: noth"),
        (lambda bus: bus.of_kind("Metrics"), "no kind of event 'Metrics': 'Metric' is close"),
    ],
)
def test_wrong_names_are_explained(bus: Bus, ask: Any, answer: str) -> None:
    """A name that nobody reported raises, and says which names there are."""
    with Experiment(None, name="Exp").create_run() as run:
        train(run)
    with pytest.raises(BusError, match=answer):
        ask(bus)
    assert bus.of_kind("LoadModel") == []


def test_active_runs_are_refused(tmp_path: Path) -> None:
    """A run that is active before, or is left active, is named."""
    with pytest.raises(BusError, match=r"left a run active: run r of Exp"), in_memory_bus(tmp_path):
        Experiment(None, name="Exp").create_run(run_id="r").start()
    assert scope.current_run() is None
    with in_memory_bus(tmp_path) as bus, Experiment(None, name="Exp").create_run():
        with pytest.raises(BusError, match="must not be active"), in_memory_bus(tmp_path):
            pass
        assert bus.kinds == ["StartExperiment"]


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder as a user does."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


def test_the_page_on_testing_works(tmp_path: Path) -> None:
    """The files of the page, saved as they say, are tests that pass, and leave nothing behind."""
    save_blocks(PAGE, tmp_path).unlink()
    done = pytest_in(tmp_path, "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"best_tracker.py", "test_training.py", "training.py"}


def test_the_plugin_is_light_and_can_be_left_out(tmp_path: Path) -> None:
    """Unused, the plugin loads nothing of ours, and pytest goes on without it."""
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_light():\n"
        "    heavy = {'pydantic', 'zmq', 'torch', 'drytorch_client', 'drytorch_trackers.testing'}\n"
        "    assert not heavy & set(sys.modules)\n"
        "def test_fixture(request):\n"
        "    assert request.getfixturevalue('bus').events == []\n"
    )
    assert "2 passed" in pytest_in(tmp_path).stdout
    without = pytest_in(tmp_path, "-p", "no:drytorch_bus").stdout
    assert "1 failed, 1 passed" in without
    assert "fixture 'bus' not found" in without
