"""A tracker of another package is found by its short name once that package is installed."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from hosts import Host, eventually
from pages import ROOT

EXAMPLE = ROOT / "examples" / "own_tracker_package"
SCRIPT = """
from drytorch_client import Experiment, remove_all_default_trackers

remove_all_default_trackers()
experiment = Experiment(None, name="Exp", par_dir="out")
experiment.trackers.subscribe("best_values")
with experiment.create_run(run_id="r") as run:
    model = run.register_model(object(), name="net")
    trainer = run.register_actor(name="Trainer", model=model)
    for epoch in trainer.training(n_epochs=3):
        epoch.log(loss=(2.0, 0.5, 1.0)[epoch.number - 1])
"""


def install(host: Host, folder: Path) -> None:
    """Build and install the example as a user would, from a copy and without any index."""
    source = host.folder / "package"
    shutil.copytree(EXAMPLE, source)
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *offline]
    done = host.run(*pip, "--target", folder, source, seconds=90)
    assert done.returncode == 0, done.stderr


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_an_installed_package_brings_a_short_name(host: Host, tmp_path: Path) -> None:
    """The example package installs, and `subscribe` and `drytorch track` find its tracker."""
    folder = tmp_path / "site"
    install(host, folder)
    (tmp_path / "train.py").write_text(SCRIPT)
    without = host.run(sys.executable, "train.py")
    assert "There is no tracker named 'best_values'" in without.stderr
    done = host.run(sys.executable, "train.py", PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 30, "the worker leaves")
    (written,) = (tmp_path / "out" / "best_values").glob("*.json")
    assert json.loads(written.read_text()) == {
        "experiment": "Exp",
        "run": "r",
        "sources": {"Trainer": {"value": 0.5, "epoch": 2}},
    }
    track = ["track", "best_values", "-o", "mode=max", "--par-dir", "copies"]
    tracked = host.drytorch(*track, PYTHONPATH=str(folder))
    assert tracked.returncode == 0, tracked.stderr
    copy = tmp_path / "copies" / "best_values" / written.name
    assert json.loads(copy.read_text())["sources"] == {"Trainer": {"value": 2.0, "epoch": 1}}
