"""A thousand runs in one process."""

import json
import sys
from pathlib import Path

import pytest

from hosts import Host

SCRIPT = """
import json, os, threading
from drytorch_client import Experiment, init_trackers

init_trackers("none")
def used():
    return len(os.listdir("/proc/self/fd")), threading.active_count()

figures = []
for number in range(1000):
    with Experiment(None, name=f"Exp{number}", par_dir="out").create_run(run_id="r") as run:
        run.log({"loss": 1.0})
    if number in (9, 999):
        figures.append(used())
print(json.dumps([figures, run.status().dropped]))
"""


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.system(deadline=90)
def test_a_thousand_runs_leak_nothing(host: Host, tmp_path: Path) -> None:
    """The thousandth run of a process holds as many descriptors and threads as the tenth (A30)."""
    (tmp_path / "script.py").write_text(SCRIPT)
    finished = host.run(sys.executable, "script.py", seconds=500)
    assert finished.returncode == 0, finished.stderr[-2000:]
    (early, late), dropped = json.loads(finished.stdout.splitlines()[-1])
    assert late == early
    assert dropped == 0
