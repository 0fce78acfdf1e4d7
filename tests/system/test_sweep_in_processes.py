"""Trials one after another in a process, as Optuna runs them, and in the processes of a pool."""

import json
import sys
from pathlib import Path

import pytest

from hosts import SCRIPTS, Host, eventually, result_of


def completed(out: Path) -> int:
    """Return how many trials are completed and have all their rows."""
    count = 0
    for file in out.glob(".drytorch/*/runs.json"):
        experiment = file.parent.name
        for run in json.loads(file.read_text()):
            csv = out / "csv_metrics" / experiment / run["id"] / "line" / "Trainer.csv"
            count += run["status"] == "completed" and csv.read_bytes().count(b"\n") == 3
    return count


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("way", "trials"), [("one", 8), ("fork", 6), ("spawn", 6)])
def test_trials_of_one_script(host: Host, way: str, trials: int) -> None:
    """All trials are written, their processes are gone, and what the script holds does not grow."""
    out = host.folder / "out"
    finished = host.run(sys.executable, SCRIPTS / "sweep.py", out, str(trials), way, seconds=120)
    assert finished.returncode == 0, finished.stderr
    assert "Warning" not in finished.stderr
    eventually(lambda: not host.workers(), 60, "the workers leave")
    assert completed(out) == trials
    held = result_of(finished)["held"]
    if held:
        settled = held[2:]
        for first, last in zip(settled[0], settled[-1], strict=True):
            assert last <= first, held
