"""`SomeTracker.get_current()` in the training process: objects, names, and the default ones."""

import sys
from pathlib import Path

import pytest

from drytorch_client import Experiment, defaults, extend_default_trackers, init_trackers
from drytorch_client.errors import TrackerNotUsedError
from drytorch_trackers import BuiltinLogger, CSVDumper, MemoryTracker, TqdmLogger, registry
from recording import Recorded

OWN = """
from drytorch_trackers import CSVDumper, Tracker

class Own(CSVDumper):
    pass

class Broken(Tracker):
    def __init__(self):
        raise RuntimeError("not here")
"""


@pytest.fixture
def experiment(recorded: Recorded, tmp_path: Path) -> Experiment[None]:
    """Return an experiment with the default trackers."""
    del recorded
    return Experiment(None, name="Exp", par_dir=tmp_path)


def test_an_object_is_itself(recorded: Recorded, tmp_path: Path) -> None:
    """A default tracker that was given as an object is that object, in each run and only there."""
    dumper = CSVDumper(par_dir=tmp_path / "own")
    extend_default_trackers([dumper])
    try:
        for name in ("One", "Two"):
            with Experiment(None, name=name, par_dir=tmp_path).create_run() as run:
                assert CSVDumper.get_current() is dumper
                assert dumper.current is not None
                assert dumper.current.run_id == run.id
            with pytest.raises(TrackerNotUsedError, match="No CSVDumper is subscribed"):
                CSVDumper.get_current()
    finally:
        defaults.forget_mode()
    assert len(recorded.supervisor.specs) > 2


def test_default_trackers_are_made_of_their_declarations(experiment: Experiment[None]) -> None:
    """A tracker that is declared by name is an object with its options, the same one each time."""
    experiment.trackers.subscribe("csv")
    for cls in (BuiltinLogger, TqdmLogger, CSVDumper):
        with pytest.raises(TrackerNotUsedError):
            cls.get_current()
    with experiment.create_run() as run:
        console, bars, dumper = (
            BuiltinLogger.get_current(),
            TqdmLogger.get_current(),
            CSVDumper.get_current(),
        )
        assert (type(console), type(bars)) == (BuiltinLogger, TqdmLogger)
        assert BuiltinLogger.get_current() is console
        assert console.declared()[1]["verbosity"] == 23
        assert dumper.current is not None
        assert (dumper.current.run, dumper.current.par_dir) == (
            run.identity.run,
            experiment.par_dir,
        )
        with pytest.raises(TrackerNotUsedError):
            MemoryTracker.get_current()
    for cls in (BuiltinLogger, TqdmLogger, CSVDumper):
        with pytest.raises(TrackerNotUsedError):
            cls.get_current()
    with experiment.create_run():
        assert CSVDumper.get_current() is not dumper


def test_other_names_for_a_class(
    experiment: Experiment[None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class is found by its file, by a package that exports it, and by `drytorch run -t`."""
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    own = registry.load(f"{tmp_path}/own.py:Own")
    experiment.trackers.subscribe(f"{tmp_path}/own.py:Own", "drytorch_trackers:MemoryTracker")
    monkeypatch.setenv("DRYTORCH_TRACKERS", '[{"target": "csv", "options": {"dialect": "unix"}}]')
    with experiment.create_run():
        assert type(own.get_current()) is own
        assert type(MemoryTracker.get_current()) is MemoryTracker
        assert type(CSVDumper.get_current()) is CSVDumper
        assert CSVDumper.get_current().declared_kwargs == {"dialect": "unix"}


def test_nothing_is_reported_and_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Recorded
) -> None:
    """Where reporting is disabled, scripts that ask for their trackers go on working."""
    monkeypatch.setenv("DRYTORCH_BROKER", "disabled")
    init_trackers("minimal")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    defaults.forget_mode()
    with experiment.create_run():
        assert TqdmLogger.get_current() is TqdmLogger.get_current()
    assert recorded.sender.events == []


def test_a_constructor_that_raises(experiment: Experiment[None], tmp_path: Path) -> None:
    """An error of a constructor reaches whoever asks, and the run goes on."""
    (tmp_path / "own.py").write_text(OWN)
    broken = registry.load(f"{tmp_path}/own.py:Broken")
    experiment.trackers.subscribe(f"{tmp_path}/own.py:Broken")
    with experiment.create_run() as run:
        with pytest.raises(RuntimeError, match="not here"):
            broken.get_current()
        run.log({"loss": 1.0})
