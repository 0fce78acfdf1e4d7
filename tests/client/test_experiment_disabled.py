"""Switched off, a training starts nothing and opens nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, os, sys, threading
import psutil
from drytorch_client import Experiment

before = psutil.Process().num_fds()
experiment = Experiment(None, name="Exp", par_dir=sys.argv[1])
experiment.trackers.subscribe("csv")
with experiment.create_run(run_id="r") as run:
    model = run.register_model(object(), name="net")
    trainer = run.register_actor(model=model)
    for epoch in trainer.training(n_epochs=3):
        for _ in epoch.batches([1, 2]):
            epoch.progress(loss=1.0)
        epoch.log(loss=1.0)
    run.log({"a": 1})
    process = psutil.Process()
    if (child := os.fork()) == 0:
        run.log({"a": 2})
        os._exit(threading.active_count() - 1)
    forked = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([threading.active_count(), process.num_fds() - before, forked,
                      len(process.children(recursive=True)), run.flush(), run.status().broker]))
"""


def test_nothing_is_started_or_opened(tmp_path: Path) -> None:
    """No thread, process, descriptor or file but the registry's, and not a word."""
    par_dir = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, par_dir],
        env=os.environ | {"DRYTORCH_BROKER": "disabled"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    threads, descriptors, forked, children, flushed, broker = json.loads(done.stdout)
    assert (threads, forked, children, flushed, broker) == (1, 0, 0, True, "disabled")
    assert descriptors == 1  # the lock that says that the run is running
    assert done.stderr == ""
    files = sorted(path.name for path in par_dir.rglob("*") if path.is_file())
    assert files == ["r.uuid", "runs.json", "runs.json.lock"]
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        assert list(Path(os.environ[name]).iterdir()) == []
