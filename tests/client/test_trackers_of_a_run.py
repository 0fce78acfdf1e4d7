"""What a run says of its trackers: those that gave up, and changes that come too late for it."""

from pathlib import Path
from typing import Any

import pytest

from drytorch_client.errors import RunWarning
from drytorch_client.experiment import Experiment
from recording import Recorded

pytestmark = pytest.mark.usefixtures("recorded")


def test_a_tracker_that_gave_up_is_named_at_the_end(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The last line of a run names the trackers that left with errors."""
    monkeypatch.setattr(recorded.supervisor, "gave_up", lambda _workers: ["CSVDumper", "Mine"])
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run():
        capsys.readouterr()
    last = capsys.readouterr().err
    assert "CSVDumper, Mine had errors: see `drytorch workers` and `drytorch doctor`" in last


def test_late_changes_of_trackers_warn(tmp_path: Path) -> None:
    """Trackers that are changed while a run is active are for the next one, which is said."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    other = Experiment(None, name="Other", par_dir=tmp_path)
    experiment.trackers.subscribe(mine="memory")
    with experiment.create_run(run_id="r"):
        other.trackers.subscribe("csv")
        with pytest.warns(RunWarning, match="of run r were chosen when it started"):
            experiment.trackers.subscribe("csv")
        with pytest.warns(RunWarning, match="for the next run"):
            experiment.trackers.remove("mine")
        with pytest.warns(RunWarning, match="for the next run"):
            experiment.trackers.remove_all()
    experiment.trackers.subscribe("csv")
