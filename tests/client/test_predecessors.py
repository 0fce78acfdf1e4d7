"""What a killed process left goes into the journal before what resumes its run."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from drytorch_client.predecessors import Predecessors
from drytorch_schemas import spool_files
from drytorch_schemas.folders import journal_dir, spool_dir
from drytorch_schemas.locks import FileLock
from drytorch_schemas.spool_files import SpoolMeta
from emitting import numbers, start
from hosts import Host, eventually
from producing import Broker


@pytest.fixture
def host(tmp_path: Path, no_process_left_behind: None) -> Iterator[Host]:  # noqa: ARG001 - it looks last
    """Return a host whose broker ends with the test."""
    host = Host(tmp_path)
    yield host
    host.stop()


def spool(number: int, pid: int, broker: str = "") -> Path:
    """Make the folder of a spool, and return it."""
    folder = spool_dir() / f"{number:032x}"
    meta = SpoolMeta(
        producer=folder.name,
        token=bytes(16),
        broker=broker,
        journal="" if broker else str(journal_dir()),
        host="host",
        pid=pid,
    )
    spool_files.write_meta(folder, meta)
    spool_files.lock_path(folder).touch()
    return folder


def test_only_dead_ones_for_the_same_broker() -> None:
    """Nobody waits for the living, for another broker's spools, or for its own."""
    mine, dead = spool(1, 1), spool(2, 2**22 - 7)
    other, living = spool(3, 2**22 - 7, "tcp://127.0.0.1:1"), spool(4, 1)
    lock = FileLock(spool_files.lock_path(living))
    assert lock.acquire()
    predecessors = Predecessors("", mine)
    predecessors.expect()
    assert predecessors.hold(1.0)
    for each in (other, living):
        assert each.exists()
    lock.release()
    dead.rename(dead.with_name("gone"))
    assert not predecessors.hold(2.0)


def test_no_longer_than_it_is_worth() -> None:
    """A spool that nobody can deliver holds the others up for 15 seconds, once."""
    spool(2, 2**22 - 7)
    predecessors = Predecessors("", spool_dir() / "mine")
    predecessors.expect()
    assert predecessors.hold(100.0)
    assert predecessors.hold(114.9)
    assert not predecessors.hold(115.1)
    assert not predecessors.hold(116.0)


KILLED = """
for number in range(1000):
    emit(number)
say("emitted")
time.sleep(60)
"""
RESUMING = """
import datetime
from drytorch_schemas.events import StartExperimentEvent
now = datetime.datetime(2026, 3, 4)
event = StartExperimentEvent(config=None, exp_name="Exp", run_ts=now, run_id="r", resumed=True)
sender.emit(event, RUN)
for number in range(1000, 2000):
    emit(number)
say("emitted")
say(sender.flush(40))
"""


@pytest.mark.system(deadline=40)
def test_the_killed_process_comes_first(host: Host, tmp_path: Path) -> None:
    """A run that is resumed before its last events were delivered has them before its new ones."""
    broker = Broker(host, tmp_path / "journal")
    process = psutil.Process(broker._process.pid)
    process.suspend()
    killed = start(host, KILLED, broker=broker.url)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "emitted\n"
    folder = next(spool_dir().iterdir())
    eventually(lambda: last_in(folder) >= 1000, 10, "all of it is spooled")
    killed.send_signal(signal.SIGKILL)
    host.finish(killed)
    resuming = start(host, RESUMING, broker=broker.url)
    assert resuming.stdout is not None
    assert resuming.stdout.readline() == "emitted\n"
    process.resume()
    done = host.finish(resuming)
    assert done.stdout == "True\n", done.stderr
    assert numbers(broker.folder) == list(range(2000))
    broker.close()


def last_in(folder: Path) -> int:
    """Return the last sequence number of a spool."""
    found = [
        batch.first + batch.count - 1
        for path in spool_files.spool_segments(folder)
        for batch in spool_files.batches(path)
        if isinstance(batch, spool_files.Batch)
    ]
    return max(found, default=0)
