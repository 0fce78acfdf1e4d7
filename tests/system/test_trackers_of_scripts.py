"""A tracker whose class is in the training script itself lives, dies, and is owed."""

import re
import signal
import sys
from pathlib import Path

import psutil
import pytest

from drytorch_schemas.locations import owed_dir
from hosts import Host, eventually

SCRIPT = """
import pathlib, time
from drytorch_client import Experiment, remove_all_default_trackers
from drytorch_trackers import Tracker

MARK = "only-over-the-pipe"

class Seen(Tracker):
    def __init__(self, path, write):
        self.path, self.write = path, write

    def on_metric(self, event):
        assert MARK
        self.write(self.path, event.epoch)

def add(path, epoch):
    with open(path, "a") as file:
        file.write(f"{epoch}\\n")

remove_all_default_trackers()
experiment = Experiment(None, name="Exp", par_dir="out")
experiment.trackers.subscribe(Seen("seen.txt", lambda path, epoch: add(path, epoch)))
with experiment.create_run() as run:
    model = run.register_model(object(), name="net")
    trainer = run.register_actor(name="Trainer", model=model)
    for epoch in trainer.training(n_epochs=2000):
        epoch.log(loss=1.0)
        time.sleep(0.02)
        if pathlib.Path("enough").exists():
            trainer.terminate("enough")
print(epoch.number)
"""


def seen(folder: Path) -> list[int]:
    """Return the epochs that the tracker has written down by now."""
    path = folder / "seen.txt"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.system(deadline=60)
def test_a_scripts_tracker_is_started_again_by_its_training(host: Host, tmp_path: Path) -> None:
    """While the training lives, a killed worker of its own class is started again and completes."""
    (tmp_path / "train.py").write_text(SCRIPT)
    training = host.start(sys.executable, "train.py")
    eventually(lambda: len(seen(tmp_path)) > 5, 30, "the tracker works")
    (worker,) = host.workers()
    worker.kill()
    before = len(seen(tmp_path))
    eventually(lambda: len(seen(tmp_path)) > before + 5, 30, "the tracker goes on")
    (tmp_path / "enough").touch()
    done = host.finish(training)
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 30, "the worker leaves")
    assert sorted(set(seen(tmp_path))) == list(range(1, int(done.stdout) + 1))
    assert list(owed_dir().glob("*.msgpack")) == []


def kill_both(training: psutil.Process, worker: psutil.Process) -> None:
    """Kill a training and its worker so that neither sees the other die."""
    training.send_signal(signal.SIGSTOP)
    worker.kill()
    training.kill()


@pytest.mark.system(deadline=60)
def test_without_its_training_it_is_only_named(host: Host, tmp_path: Path) -> None:
    """What was handed over is in no file, so that `sync` names such a worker and starts none."""
    (tmp_path / "train.py").write_text(SCRIPT)
    training = host.start(sys.executable, "train.py")
    eventually(lambda: len(seen(tmp_path)) > 5, 30, "the tracker works")
    (worker,) = host.workers()
    assert "only-over-the-pipe" not in " ".join(worker.cmdline())
    kill_both(psutil.Process(training.pid), worker)
    training.wait()
    (file,) = owed_dir().glob("*.msgpack")
    state = [path for path in owed_dir().parent.rglob("*") if path.is_file()]
    assert file in state
    assert [path for path in state if b"only-over-the-pipe" in path.read_bytes()] == []
    done = host.drytorch("sync")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "needs __main__:Seen of a training's script" in line
    assert str(file) in line
    assert host.workers() == []
    assert file.exists()
    # a process that nobody has waited for yet, or that was there a moment ago, counts as at work
    away = re.compile(rf"^{file.stem} +away ", re.MULTILINE)
    eventually(lambda: away.search(host.drytorch("workers").stdout), 40, "it is shown as away")
