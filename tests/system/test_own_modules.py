"""A user's own modules stand beside ours."""

import shutil
import sys
from pathlib import Path

import pytest

from hosts import SCRIPTS, Host, eventually

NAMES = ("schemas", "trackers", "client", "broker", "events", "worker", "csv_file", "control")


@pytest.mark.system
def test_modules_named_like_our_folders_break_nothing(host: Host, tmp_path: Path) -> None:
    """A `schemas.py` and its like beside the script disturb neither training nor workers."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text('raise RuntimeError("the user\'s own module")\n')
    (tmp_path / "own_tracker.py").write_text(
        "from drytorch_trackers import Tracker\n"
        "class Own(Tracker):\n"
        "    def on_metric(self, event):\n"
        '        with open("seen.txt", "a") as file:\n'
        '            file.write(f"{event.epoch}\\n")\n'
    )
    shutil.copy(SCRIPTS / "train.py", tmp_path / "train.py")
    command = [sys.executable, "train.py", "Exp", "out", "5", "r"]
    finished = host.drytorch("run", "-t", "own_tracker:Own", "--", *command, PAUSE="0")
    assert finished.returncode == 0, finished.stderr
    eventually(lambda: not host.workers(), 30, "the workers leave")
    csv = tmp_path / "out" / "csv_metrics" / "Exp" / "r" / "net" / "Trainer.csv"
    assert csv.read_text().count("\n") == 6
    assert (tmp_path / "seen.txt").read_text() == "1\n2\n3\n4\n5\n"
