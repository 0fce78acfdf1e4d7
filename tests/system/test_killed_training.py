"""A training that is killed leaves its events, and nothing else."""

import fcntl
import json
from pathlib import Path

import pytest

from hosts import Host, eventually

CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")
LOST_WITHIN = 15  # seconds until a local run without a producer is shown as lost


@pytest.mark.system(deadline=90)
@pytest.mark.timeout(240)
def test_what_a_killed_training_leaves(host: Host, tmp_path: Path) -> None:
    """All rows but the last few are written, the run is lost, no lock and nothing stays (D16)."""
    training = host.train(tmp_path / "out", 100_000, PAUSE="0.005")
    csv = tmp_path / "out" / CSV
    eventually(lambda: csv.exists() and csv.read_text().count("\n") > 30, 60, "thirty rows")
    rows_before = csv.read_text().count("\n") - 1
    training.kill()
    host.finish(training)

    def lost() -> bool:
        runs = json.loads(host.drytorch("runs", "--json").stdout or "[]")
        return [run["status"] for run in runs] == ["lost"]

    eventually(lost, LOST_WITHIN, "drytorch runs shows the run as lost")
    eventually(lambda: not host.workers(), 60, "the workers leave")
    rows = csv.read_text().splitlines()[1:]
    assert len(rows) >= rows_before
    assert [int(row.split(",")[2]) for row in rows] == list(range(1, len(rows) + 1))
    eventually(lambda: not host.brokers(), 60, "the broker leaves when it is idle")
    state = Path(host.environment["XDG_STATE_HOME"])
    for lock in state.rglob("lock"):
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not list(state.rglob("*.spool"))
    assert not list(Path(host.environment["XDG_RUNTIME_DIR"]).rglob("*.sock"))
