"""A training that was killed goes on from its last checkpoint, in the same artefacts."""

import contextlib
import json
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from hosts import SCRIPTS, Host, eventually
from journaled import assert_complete, journaled

EPOCHS = 15
SCRIPT = SCRIPTS / "resumable.py"


def rows(out: Path) -> list[list[int]]:
    """Return epoch, value and attempt of each row of the training's table."""
    for table in out.glob("csv_metrics/Exp/*/*/net/Trainer.csv"):
        lines = table.read_text().splitlines()[1:]
        return [[int(cell) for cell in line.split(",")[2:]] for line in lines]
    return []


def check_artefacts(out: Path, result: dict[str, Any]) -> None:
    """Look at tables, database and registry, and at what the loaders made of them."""
    start, table = result["start"], rows(out)
    assert [row[0] for row in table if row[2] == 1] == list(range(1, 13))
    assert [row[0] for row in table if row[2] == 2] == list(range(start + 1, EPOCHS + 3))
    (from_csv, metrics), (from_sql, attempts) = result["loaded"]
    # DRYTorch's rules: in a table of rows the last pass begins where epochs start again
    assert from_csv == list(range(start + 1, EPOCHS + 1))
    assert set(metrics["attempt"]) == {2}
    assert from_sql == list(range(1, EPOCHS + 1))
    assert attempts["attempt"] == [1] * start + [2] * (EPOCHS - start)
    assert len(list(out.glob("csv_metrics/Exp/*/*"))) == 1
    with contextlib.closing(sqlite3.connect(out / "metrics.db")) as database:
        ids = database.execute("SELECT DISTINCT run_id FROM runs").fetchall()
        logged = database.execute("SELECT count(*) FROM logs WHERE metric_name = 'seen'").fetchone()
    assert ids == [(result["id"],)]
    assert logged == (len(table),)
    entries = json.loads((out / ".drytorch" / "Exp" / "runs.json").read_text())
    assert [(entry["id"], entry["status"]) for entry in entries] == [(result["id"], "completed")]
    assert not list(out.rglob("*.running"))


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_resume_after_a_kill(host: Host, tmp_path: Path) -> None:
    """Epochs since the checkpoint are there twice, loaders take the last; the run is one (D18)."""
    out = tmp_path / "out"
    out.mkdir()
    killed = host.run(sys.executable, SCRIPT, out, str(EPOCHS), KILL_IN="13")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(out.rglob("*.running"))
    done = host.run(sys.executable, SCRIPT, out, str(EPOCHS))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["start"] == 10
    assert result["weight"] == EPOCHS + 2
    eventually(lambda: not host.workers(), 40, "the workers leave")
    check_artefacts(out, result)
    envelopes = journaled(host)
    assert_complete(envelopes)
    assert len({each.origin.run for each in envelopes}) == 1
    registered = [each.kind for each in envelopes if each.kind.endswith("Registration")]
    assert registered == ["ModelRegistration", "ActorRegistration"] * 3
