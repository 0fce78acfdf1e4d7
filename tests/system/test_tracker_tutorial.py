"""DRYTorch's tracker tutorial works here, and so does our own page."""

import sys
from pathlib import Path

import pytest

from hosts import SCRIPTS, Host, eventually


@pytest.mark.system(deadline=60)
def test_dry_torchs_tracker_tutorial_runs_as_it_is(host: Host, tmp_path: Path) -> None:
    """A tracker class of the script prints once, and a default CSV goes where it was told."""
    done = host.run(sys.executable, SCRIPTS / "contract_tutorial.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "'Linear(in_features=2, out_features=3, bias=True)'",
        "{'answer': 42}",
    ]
    written = tmp_path / "experiments" / "my_directory" / "csv_metrics" / "WithCSV"
    (csv,) = written.rglob("*.csv")
    assert csv.name == "Trainer.csv"
    assert [line.split(",")[2] for line in csv.read_text().splitlines()] == ['"Epoch"', "1", "2"]
    eventually(lambda: not host.workers(), 30, "the workers leave")
