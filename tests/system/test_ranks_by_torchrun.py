"""Distributed trainings, as torchrun starts them: gloo on the CPU, two processes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from drytorch_schemas import events
from hosts import BIN, SCRIPTS, Host, eventually
from journaled import assert_complete, journaled

EPOCHS = 20


def torchrun(host: Host, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the script of ranks on two processes."""
    started = host.start(
        BIN / "torchrun", "--nproc-per-node", "2", SCRIPTS / "ranks.py", *arguments
    )
    return host.finish(started, 100)


def statuses(par_dir: Path, name: str) -> list[str]:
    """Return the statuses in an experiment's registry."""
    entries: list[dict[str, Any]] = json.loads(
        (par_dir / ".drytorch" / name / "runs.json").read_text()
    )
    return [entry["status"] for entry in entries]


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(180)
def test_two_ranks(host: Host, tmp_path: Path) -> None:
    """Rank 0 reports alone, or all do under one run; either way files are written once."""
    out = tmp_path / "out"
    done = torchrun(host, out)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "RANK 0 done", "RANK 1 done"]
    assert "warning" not in done.stderr.lower()
    said = [line for line in done.stderr.splitlines() if line.startswith("drytorch: ")]
    assert len(said) == 6, said  # one start and one end for each run
    for name in ("Muted", "All"):
        assert statuses(out, name) == ["completed"]
        eventually(lambda: not host.workers(), 30, "the workers leave")
        (table,) = out.glob(f"csv_metrics/{name}/*/*/net/Trainer.csv")
        rows = [line.split(",")[2:] for line in table.read_text().splitlines()[1:]]
        assert rows == [[str(number), "0", str(number)] for number in range(1, EPOCHS + 1)]
        assert len(list(out.glob(f"checkpoints/{name}/*/*/net/epoch_20/model_state.pt"))) == 1
    envelopes = journaled(host)
    assert_complete(envelopes)
    assert {each.origin.rank for each in envelopes if each.origin.experiment == "Muted"} == {0}
    assert {each.origin.rank for each in envelopes if each.origin.experiment == "Alone"} == {0}
    both = [each for each in envelopes if each.origin.experiment == "All"]
    assert len({each.origin.run for each in both}) == 1
    assert len({each.origin.producer for each in both}) == 2
    for rank in (0, 1):
        metrics = [
            each.event.epoch
            for each in both
            if each.origin.rank == rank
            and isinstance(each.event, events.MetricEvent)
            and each.event.step is None
        ]
        assert metrics == list(range(1, EPOCHS + 1))
    starts = [each.origin.rank for each in both if each.kind in {"StartExperiment", "SaveModel"}]
    assert starts == [0, 0]


@pytest.mark.system(deadline=90)
@pytest.mark.timeout(240)
def test_a_killed_rank(host: Host, tmp_path: Path) -> None:
    """A rank that is killed takes the training down, not what was reported; nothing stays."""
    out = tmp_path / "out"
    done = torchrun(host, out, "0")
    assert done.returncode != 0
    eventually(lambda: not host.workers(), 60, "the workers leave")
    (table,) = out.glob("csv_metrics/Muted/*/*/net/Trainer.csv")
    epochs = [int(line.split(",")[2]) for line in table.read_text().splitlines()[1:]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 9  # it is killed in the tenth epoch

    def over() -> bool:
        runs = json.loads(host.drytorch("runs", "--json").stdout or "[]")
        return [run["status"] in {"lost", "failed"} for run in runs] == [True]

    eventually(over, 30, "the run is lost or failed")
    assert_complete(journaled(host))
