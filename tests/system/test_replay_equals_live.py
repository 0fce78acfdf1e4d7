"""The journal gives the artefacts again, as often as one likes."""

import signal
from pathlib import Path

import pytest

from hosts import BIN, Host, eventually

CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")


def segments(host: Host) -> list[Path]:
    """Return the journal's segment files."""
    return sorted(Path(host.environment["XDG_STATE_HOME"]).glob("drytorch/*/journal/*.msgpack"))


@pytest.mark.system
def test_replay_equals_live_and_twice_changes_nothing(host: Host, tmp_path: Path) -> None:
    """A replay into a new folder equals the live CSV, and a second one adds nothing."""
    live = tmp_path / "live"
    assert host.finish(host.train(live, 20, PAUSE="0")).returncode == 0
    eventually(lambda: not host.workers(), 20, "the workers leave")
    expected = (live / CSV).read_bytes()

    again = tmp_path / "again"
    for _ in range(2):
        replayed = host.drytorch("replay", *segments(host), "--to", "csv", "--par-dir", again)
        assert replayed.returncode == 0, replayed.stderr
        assert (again / CSV).read_bytes() == expected
    assert [p.name for p in (again / CSV).parent.iterdir()] == ["Trainer.csv"]


@pytest.mark.system
@pytest.mark.timeout(180)
def test_an_interrupted_replay_completes(host: Host, tmp_path: Path) -> None:
    """A replay killed at any moment is completed by the same command."""
    live = tmp_path / "live"
    assert host.finish(host.train(live, 300, PAUSE="0")).returncode == 0
    eventually(lambda: not host.workers(), 30, "the workers leave")
    expected = (live / CSV).read_bytes()

    again = tmp_path / "again"
    arguments: tuple[str | Path, ...] = (
        "replay",
        *segments(host),
        "--to",
        "csv",
        "--par-dir",
        again,
    )
    started = host.start(BIN / "drytorch", *arguments)
    eventually((again / CSV).exists, 30, "the replay's first row")
    started.send_signal(signal.SIGKILL)
    host.finish(started)
    assert len((again / CSV).read_bytes()) <= len(expected)
    assert host.drytorch(*arguments).returncode == 0
    assert (again / CSV).read_bytes() == expected
