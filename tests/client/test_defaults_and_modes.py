"""Default trackers, their modes, and the workers that a run plans for them."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drytorch_client import defaults
from drytorch_client.defaults import (
    default_trackers,
    extend_default_trackers,
    init_trackers,
    remove_all_default_trackers,
)
from drytorch_client.errors import FailedOptionalImportWarning, InvalidModeError
from drytorch_client.experiment import Experiment
from drytorch_client.workers import owed
from drytorch_trackers import CSVDumper, MemoryTracker
from recording import Recorded

pytestmark = pytest.mark.usefixtures("recorded")


def chosen() -> dict[str, dict[str, Any]]:
    """Return the options of the default trackers by name."""
    return {name: each.declaration.kwargs for name, each in default_trackers().items()}


STANDARD = {"BuiltinLogger": {"verbosity": 23}, "TqdmLogger": {}, "YamlDumper": {}}
HYDRA = {
    "BuiltinLogger": {"verbosity": 21, "stream": "stdout", "propagate": True},
    "TqdmLogger": {"leave": False},
    "YamlDumper": {},
}
MINIMAL = {"BuiltinLogger": {"verbosity": 28}, "TqdmLogger": {"enable_training_bar": True}}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("standard", STANDARD), ("hydra", HYDRA), ("minimal", MINIMAL), ("none", {})],
)
def test_modes(monkeypatch: pytest.MonkeyPatch, mode: Any, expected: Any) -> None:
    """Each mode has DRYTorch's options, chosen by call or by environment, whatever came before."""
    init_trackers("hydra")
    init_trackers(mode)
    assert chosen() == expected
    defaults.forget_mode()
    monkeypatch.setenv("DRYTORCH_INIT_MODE", mode)
    assert chosen() == expected


def test_modes_without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tqdm the console says more instead of bars; a warning names each that is missing."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005 - as the original
    with pytest.warns(FailedOptionalImportWarning) as said:
        assert chosen() == {"BuiltinLogger": {"verbosity": 21}}
    assert [str(each.message).rpartition(": ")[2] for each in said] == [
        "pip install tqdm.",
        "pip install PyYAML.",
    ]
    with pytest.warns(FailedOptionalImportWarning, match="tqdm cannot be imported"):
        init_trackers("minimal")
    assert chosen() == {"BuiltinLogger": {"verbosity": 23, "formatter": "progress"}}
    init_trackers("none")  # looks for nothing, so that it warns of nothing


@pytest.mark.parametrize("mode", ["standard", "hydra"])
def test_modes_without_yaml(monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    """Without PyYAML a warning says what is not written, and the other trackers are there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "yaml" else name)
    with pytest.warns(FailedOptionalImportWarning, match="pip install PyYAML"):
        init_trackers(mode)
    assert list(chosen()) == ["BuiltinLogger", "TqdmLogger"]
    init_trackers("minimal")  # has no use for it: no warning, which would be an error here


def test_unknown_modes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An unknown mode is refused, naming the nearest, and the variable it came from."""
    with pytest.raises(InvalidModeError, match="did you mean minimal"):
        init_trackers("minmal")  # type: ignore[arg-type]
    monkeypatch.setenv("DRYTORCH_INIT_MODE", "verbose")
    with pytest.raises(ValueError, match="DRYTORCH_INIT_MODE: use one of standard"):
        Experiment(None, par_dir=tmp_path)


def test_the_variable_is_read_at_first_use() -> None:
    """A wrong variable does not break the import."""
    code = (
        "import drytorch_client.defaults as d\n"
        "try: d.default_trackers()\n"
        "except ValueError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DRYTORCH_INIT_MODE": "nonsense"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "refused"


def test_extending(tmp_path: Path) -> None:
    """Added trackers are shared by all experiments made afterwards, until all are removed."""
    init_trackers("minimal")
    early = Experiment(None, name="Early", par_dir=tmp_path)
    dumper = CSVDumper()
    extend_default_trackers([dumper, "memory"])
    late = Experiment(None, name="Late", par_dir=tmp_path)
    assert early.trackers.names == ["BuiltinLogger", "TqdmLogger"]
    assert late.trackers.names == ["BuiltinLogger", "TqdmLogger", "CSVDumper", "MemoryTracker"]
    assert late.trackers.named_trackers["CSVDumper"] is dumper
    remove_all_default_trackers()
    assert Experiment(None, name="Bare", par_dir=tmp_path).trackers.names == []


def test_the_current_tracker(tmp_path: Path) -> None:
    """During a run, and only then, the subscribed object can be had from its class."""
    dumper, memory = CSVDumper(), MemoryTracker()
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    experiment.trackers.subscribe(dumper, memory)
    with experiment.create_run(run_id="r") as run:
        assert CSVDumper.get_current() is dumper
        assert MemoryTracker.get_current() is memory
        assert dumper.current is not None
        assert (dumper.current.run, dumper.current.par_dir) == (run.identity.run, tmp_path)
    with pytest.raises(Exception, match="No CSVDumper is subscribed"):
        CSVDumper.get_current()


def test_planned_workers(recorded: Recorded, tmp_path: Path) -> None:
    """Console and progress share a worker, and light file trackers one; all else has its own."""
    experiment = Experiment(None, name="Exp[1]", par_dir=tmp_path)
    experiment.trackers.subscribe("csv", **{"my memory/": MemoryTracker()})
    with experiment.create_run(run_id="r") as run:
        terminal, files, memory = recorded.supervisor.specs
        listed = {each.spec.name: each for each in owed.pending()}
    assert [each.name for each in terminal.declarations] == ["BuiltinLogger", "TqdmLogger"]
    assert [each.name for each in memory.declarations] == ["my memory/"]
    assert files.filter.unwired().matches("Exp[1]", "r", run.identity.run, "Metric")
    assert files.filter.unwired().prefix() == ""
    assert not files.filter.unwired().matches("Exp[1]", "r", "other", "Metric")
    assert (files.par_dir, files.since, files.follow) == (str(tmp_path), 0, False)
    assert [each.target for each in files.declarations] == ["csv", "yaml"]
    assert files.name.startswith(f"files-{run.identity.run[:8]}-")
    assert [each.run_scoped for each in (terminal, files, memory)] == [True] * 3
    assert [each.splits for each in (terminal, files, memory)] == [False, True, False]
    assert set(listed) == {files.name, memory.name}
    assert listed[files.name].spec == files
    assert Path(files.owed).stat().st_mode & 0o777 == 0o600
    assert memory.name.startswith(f"my-memory-{run.identity.run[:8]}-")
    assert len({terminal.name, files.name, memory.name}) == 3


def test_workers_of_a_resumed_run(recorded: Recorded, tmp_path: Path) -> None:
    """A resumed run's workers have names of their own, and leave alone what came before."""
    init_trackers("minimal")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    with experiment.create_run(run_id="r"):
        pass
    with experiment.create_run(run_id="r", resume=True):
        pass
    first, second = recorded.supervisor.specs
    assert first.name != second.name
    assert (first.since, second.since > 0) == (0, True)


def test_owed_workers_of_earlier_runs_are_started(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run starts workers that are still owed, in silence, but none that stopped with errors."""
    monkeypatch.setattr("drytorch_client.session._OWED_SECONDS", 0.0)
    init_trackers("minimal")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    experiment.trackers.subscribe("csv", "memory")
    with experiment.create_run(run_id="a"):
        _, csv, memory = recorded.supervisor.specs
    owed.put(memory, "a tracker stopped with errors")
    recorded.supervisor.specs.clear()
    experiment.trackers.remove_all()
    with experiment.create_run(run_id="b"):
        assert recorded.supervisor.specs == [csv]
        assert recorded.supervisor.quiet == [csv.name]


def test_a_list_that_cannot_be_written(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the owed list cannot be kept, the workers run all the same."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    init_trackers("minimal")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    experiment.trackers.subscribe("csv")
    with experiment.create_run(run_id="r"):
        assert [spec.owed for spec in recorded.supervisor.specs] == ["", ""]
