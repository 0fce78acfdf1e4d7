"""Trackers on another host."""

import json
from pathlib import Path

import pytest

from hosts import BIN, Host, eventually

CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_late_worker_elsewhere_writes_the_whole_run(host: Host, tmp_path: Path) -> None:
    """A worker with another HOME, attached over TCP in the middle, writes every row of the run."""
    broker = host.start(
        BIN / "drytorch-broker", "start", "--listen", "tcp://127.0.0.1:0", "--journal", "journal"
    )
    endpoint = tmp_path / "journal" / "endpoint.json"
    url = eventually(
        lambda: endpoint.exists() and json.loads(endpoint.read_text())["url"], 20, "the endpoint"
    )
    here = tmp_path / "here"
    training = host.train(here, 60, PAUSE="0.01", DRYTORCH_BROKER=url)
    eventually(
        lambda: (here / CSV).exists() and (here / CSV).read_text().count("\n") > 10,
        30,
        "the middle of the run",
    )
    other = Host(tmp_path / "elsewhere")
    other.folder.mkdir()
    for name in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        other.environment[name] = str(other.folder / name)
        Path(other.environment[name]).mkdir(mode=0o700)
    tracked = other.drytorch("track", "csv", "--broker", url, "--par-dir", other.folder / "there")
    assert tracked.returncode == 0, tracked.stderr
    assert host.finish(training).returncode == 0
    eventually(lambda: not host.workers(), 30, "the local workers leave")
    assert (other.folder / "there" / CSV).read_bytes() == (here / CSV).read_bytes()
    assert (here / CSV).read_text().count("\n") == 61
    broker.terminate()
    assert host.finish(broker).returncode == 0
