"""How a run's end is recorded when nobody stopped it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drytorch_client.experiment import Experiment
from hosts import eventually

ENDS = {
    "pass": "completed",
    "sys.exit()": "completed",
    "sys.exit(0)": "completed",
    "sys.exit(3)": "failed",
    "sys.exit('no data')": "failed",
    "raise ValueError('diverged')": "failed",
    "threading.Thread(target=sys.exit, args=(3,)).start()": "completed",
}
CHILD_ENDS = {"return": "completed", "sys.exit(3)": "failed", "raise ValueError": "failed"}
SCRIPT = """
import multiprocessing, os, sys, threading
from drytorch_client import Experiment

def start(run_id):
    run = Experiment(None, name="Exp", par_dir=sys.argv[1]).create_run(run_id=run_id)
    run.start()
    return run
"""


def run_all(scripts: list[str], folder: Path) -> list[int]:
    """Run scripts side by side, with nothing to report to, and return their exit codes."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT + script, folder],
            env={"DRYTORCH_BROKER": "disabled", "PATH": "/bin:/usr/bin"},
            stderr=subprocess.DEVNULL,
        )
        for script in scripts
    ]
    return [process.wait(60) for process in started]


def statuses(folder: Path) -> dict[str, str]:
    """Return the recorded runs' statuses by id."""
    entries = json.loads((folder / ".drytorch" / "Exp" / "runs.json").read_text())
    return {entry["id"]: entry["status"] for entry in entries}


def test_runs_without_an_end(tmp_path: Path) -> None:
    """A run started without `with` fails with its script, as far as that can be seen (A13)."""
    scripts = [f"start('{number}')\n{end}" for number, end in enumerate(ENDS)]
    codes = run_all(scripts, tmp_path)
    assert codes == [0, 0, 0, 3, 1, 1, 0]
    assert dict(sorted(statuses(tmp_path).items())) == {
        str(number): status for number, status in enumerate(ENDS.values())
    }


def test_runs_of_children_without_an_end(tmp_path: Path) -> None:
    """So does one that a child of multiprocessing starts."""
    scripts = [
        f"def child():\n    start('{number}')\n    {end}\n"
        "process = multiprocessing.get_context('fork').Process(target=child)\n"
        "process.start()\nprocess.join()"
        for number, end in enumerate(CHILD_ENDS)
    ]
    assert run_all(scripts, tmp_path) == [0, 0, 0]
    found = {run_id.partition("_")[0]: each for run_id, each in statuses(tmp_path).items()}
    assert dict(sorted(found.items())) == {
        str(number): status for number, status in enumerate(CHILD_ENDS.values())
    }


@pytest.mark.usefixtures("recorded")
def test_a_dead_run_is_marked_by_the_next_one(tmp_path: Path) -> None:
    """A run whose process was killed is `failed` once another one is made; living ones go on."""
    lives = "start('lives')\nprint('started', flush=True)\nsys.stdin.read()"
    living = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + lives, tmp_path],
        env={"DRYTORCH_BROKER": "disabled"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with living:
        assert living.stdout is not None
        assert living.stdout.readline()
        assert run_all(["start('dies')\nos.kill(os.getpid(), 9)"], tmp_path) == [-9]
        assert statuses(tmp_path) == {"lives": "running", "dies": "running"}
        Experiment(None, name="Exp", par_dir=tmp_path).create_run(run_id="next")
        assert statuses(tmp_path) == {"lives": "running", "dies": "failed", "next": "created"}
    eventually(lambda: living.poll() is not None, 10, "the living run ends")
    assert statuses(tmp_path)["lives"] == "completed"
    assert not list(tmp_path.rglob("*.running"))
