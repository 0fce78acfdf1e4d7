"""DRYTorch's checkpoints and ours are the same files, each read by the other."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from drytorch_client.experiment import Experiment

SCRIPT = Path(__file__).parents[1] / "support" / "upstream_checkpoints.py"
RUN_ID = "2026-01-02@03h04m05s"
EPOCH, WEIGHT, RATE = 3, 7.0, 0.25
STATE = [EPOCH, WEIGHT, -WEIGHT, RATE]


def upstream(action: str, par_dir: Path) -> Any:
    """Let DRYTorch save or load, and return what it has then."""
    command = [sys.executable, str(SCRIPT), action, str(par_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ours(par_dir: Path, *, load: bool) -> list[Any]:
    """Save or load, and return what there is then."""
    net, average = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    experiment = Experiment(None, name="Exp", par_dir=par_dir)
    with experiment.create_run(run_id=RUN_ID, resume=load) as run:
        model = run.register_model(net, name="net", optimizer=optimizer)
        model.bind_module("average", average)
        if load:
            model.load()
        else:
            model.epoch = EPOCH
            optimizer.param_groups[0]["lr"] = RATE
            with torch.no_grad():
                net.weight.fill_(WEIGHT)
                average.weight.fill_(-WEIGHT)
            model.save()
    weights = [each.weight[0, 0].item() for each in (net, average)]
    return [model.epoch, *weights, optimizer.param_groups[0]["lr"]]


def files(par_dir: Path) -> set[str]:
    """Return the files in a folder, without the side files that only we have."""
    found = {str(path.relative_to(par_dir)) for path in par_dir.rglob("*") if path.is_file()}
    return {name for name in found if not name.endswith(".uuid")}


def test_each_reads_the_others(recorded: Any, tmp_path: Path) -> None:
    """File trees and states are equal, and runs go on from either's checkpoint and registry."""
    theirs, own = tmp_path / "theirs", tmp_path / "ours"
    assert upstream("save", theirs) == STATE
    assert ours(own, load=False) == STATE
    assert files(theirs) == files(own)
    for path in sorted(theirs.rglob("*.pt")):
        state = torch.load(path, weights_only=True)
        mirrored = torch.load(own / path.relative_to(theirs), weights_only=True)
        assert state.keys() == mirrored.keys()
        if path.name == "optimizer_state.pt":
            assert state["param_groups"] == mirrored["param_groups"]
    recorded.forget_names()
    assert ours(theirs, load=True) == STATE
    assert upstream("load", own) == STATE
    assert [event.epoch for event in recorded.sender.of_kind("LoadModel")] == [3]
