"""`drytorch sync` with spools that were brought from another host, and its list."""

import json
import shutil
from pathlib import Path

import pytest

from drytorch_schemas.folders import spool_dir
from drytorch_trackers import exit_codes
from emitting import numbers, run
from hosts import Host
from producing import Broker

pytestmark = pytest.mark.system(deadline=40)

REPORT = """
for number in range(30):
    emit(number)
"""


@pytest.fixture
def spools(host: Host, tmp_path: Path) -> Path:
    """Return a folder of the spools of two dead trainings that no broker could be reached by."""
    for _ in range(2):
        done = run(host, REPORT, broker=f"ipc://{tmp_path / 'nobody'}")
        assert done.returncode == 0, done.stderr
    carried = tmp_path / "stick" / "spool"
    shutil.move(spool_dir(), carried)
    assert len(list(carried.iterdir())) == 2
    return carried


@pytest.mark.parametrize("named", ["spool", ""])
def test_carried_spools(host: Host, spools: Path, broker: Broker, named: str) -> None:
    """Spools from elsewhere go to the broker that is named, stay, and twice adds nothing."""
    before = sorted(path.stat().st_mtime_ns for path in spools.rglob("*.spool"))
    for _ in range(2):
        done = host.drytorch("sync", spools.parent / named, "--broker", broker.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("2 spools delivered to ")
    assert sorted(numbers(broker.folder)) == sorted([*range(30), *range(30)])
    assert sorted(path.stat().st_mtime_ns for path in spools.rglob("*.spool")) == before


def test_one_spool_to_the_own_broker(host: Host, spools: Path) -> None:
    """A single spool is taken too, by this user's own broker, which is started for it."""
    done = host.drytorch("sync", next(spools.iterdir()))
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(numbers()) == list(range(30))


def test_listing(host: Host, spools: Path) -> None:
    """What spools hold is listed, for whom, and that their owners are dead."""
    done = host.drytorch("sync", spools, "--list", "--json")
    rows = json.loads(done.stdout)
    assert [row["alive"] for row in rows] == [False, False]
    assert all(row["events"] >= 30 and row["broker"].endswith("nobody") for row in rows)
    assert len(host.drytorch("sync", spools, "--list").stdout.splitlines()) == 3
    assert host.drytorch("sync", "--list").stdout == "No spools.\n"


def test_mistakes(host: Host, spools: Path, tmp_path: Path) -> None:
    """A folder without spools, and a broker that is away, are said in one sentence."""
    nothing = host.drytorch("sync", tmp_path / "stick" / "none")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (exit_codes.NO_INPUT, 1)
    away = f"ipc://{tmp_path / 'nobody'}"
    done = host.drytorch("sync", spools, "--broker", away, "--wait", "1")
    assert done.returncode == exit_codes.UNAVAILABLE
    assert done.stderr.count("\n") == 2
    assert "was not delivered to" in done.stderr
