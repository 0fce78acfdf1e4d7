"""A training in the standard mode is described in YAML files that nobody subscribed to."""

import sys
from pathlib import Path

import pytest

from deliveries import files
from drytorch_trackers import Omitted, exit_codes, read_yaml
from hosts import Host, eventually

FILES = "metadata/**/*"
TRAINING = """
import sys, pathlib
from drytorch_client import Experiment

class Net:
    def __repr__(self):
        return "Net(\\n  (0): Linear()\\n)"

out, go_on = map(pathlib.Path, sys.argv[1:])
config = {"lr": 0.1, "steps": list(range(20)), "password": "hunter2"}
experiment = Experiment(config, name="Exp", par_dir=out, tags=["a"])
with experiment.create_run(run_id="r") as run:
    model = run.register_model(Net(), name="net")
    trainer = run.register_actor(name="Trainer", model=model, metadata={"optimizer": "sgd"})
    for epoch in trainer.training(n_epochs=1):
        epoch.log(loss=1.0)
    while not go_on.exists():
        run.flush(0.05)
    experiment.extend({"seed": 1})
    experiment.extend({"seed": 2}, tags=["b"])
    with run.register_actor(name="Test", model=model).testing() as test:
        test.log(loss=0.5)
    run.summary["best"] = 0.5
"""


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(180)
def test_a_killed_worker_and_a_replay(host: Host, tmp_path: Path) -> None:
    """With the worker killed under way all is described once, and a replay gives the same bytes."""
    script, go_on = tmp_path / "train.py", tmp_path / "go on"
    script.write_text(TRAINING)
    live, again = tmp_path / "live", tmp_path / "again"
    training = host.start(sys.executable, script, live, go_on)
    eventually(lambda: len(files(live, FILES)) == 3, 40, "the run's start is described")
    for worker in host.workers():
        worker.kill()
    go_on.touch()
    done = host.finish(training)
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(files(live, FILES)) == 6, 40, "the rest is described")
    eventually(lambda: not host.workers(), 40, "the workers leave")

    described = {path.name.partition("_")[0]: path for path in live.glob("metadata/Exp/r/*")}
    assert set(described) == {"config", "extended", "summary", "net"}
    kept = [0, 1, 2, 3, 4, Omitted(10), 15, 16, 17, 18, 19]
    config = {"lr": 0.1, "steps": kept, "password": "***"}
    assert read_yaml(described["config"]) == config
    assert read_yaml(described["extended"]) == {"config": config | {"seed": 2}, "tags": ["a", "b"]}
    assert read_yaml(described["summary"]) == {"best": 0.5}
    (net,) = described["net"].glob("architecture.yaml")
    assert net.read_text() == "|-\n  Net(\n    (0): Linear()\n  )\n"

    (journal,) = Path(host.environment["XDG_STATE_HOME"]).glob("drytorch/*/journal")
    for _ in range(2):
        replayed = host.drytorch("replay", journal, "--to", "yaml", "--par-dir", again)
        assert replayed.returncode == exit_codes.OK, replayed.stderr
        assert files(again, FILES) == files(live, FILES)
    where = ("--journal", journal, "--against", "yaml", "--par-dir", again)
    verified = host.drytorch("verify", "Exp/r", *where)
    assert (verified.returncode, "yaml has 7 of 7" in verified.stdout) == (exit_codes.OK, True)
    next(again.glob("metadata/Exp/r/net_*/Test_*")).unlink()
    assert host.drytorch("verify", "Exp/r", *where).returncode == exit_codes.DATA
