"""Faults around a training (A): its broker, its spool and its own death."""

from __future__ import annotations

import contextlib
import functools
import resource
import shutil
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from drytorch_client.config import ClientConfig
from drytorch_client.sender import Sender
from drytorch_schemas import records
from drytorch_schemas.endpoint import read_endpoint
from drytorch_schemas.events import LossEvent
from drytorch_schemas.folders import journal_dir, spool_dir
from drytorch_schemas.journal_reader import Record, read
from drytorch_schemas.packing import unpack
from emitting import RUN, envelopes, kinds, metric, numbers, run, start
from hosts import Host, eventually
from raw_broker import Daemon

#: Emits steadily; the file `behind` tells that the broker is, the file `mended` ends it in a while.
STEADY = """
number = last = 0
worst = 0.0
while not last or number < last:
    time.sleep(0.001)
    before = time.perf_counter()
    emit(number)
    worst = max(worst, time.perf_counter() - before)
    number += 1
    if number % 50 == 0:
        if not last and os.path.exists("mended"):
            last = number + 300
        if sender.status().spooled > 300:
            open("behind", "w").close()
say(sender.flush(40), number, sender.status().dropped, worst)
"""
#: Tells each number that `emit` has taken, by a call that no other thread can come before.
TELL = """
def told(number):
    emit(number)
    os.write(1, b"%d\\n" % number)
"""


def obstacle() -> Path:
    """Put a file where the journal's folder should be, so that no broker can start."""
    journal_dir().parent.mkdir(parents=True)
    journal_dir().touch()
    return journal_dir()


def local_broker() -> psutil.Process:
    """Return this user's broker."""
    found = eventually(lambda: read_endpoint(journal_dir()), 20, "a broker")
    return psutil.Process(found.pid)


def take_in(host: Host) -> None:
    """Let a broker take in what dead producers left."""
    host.broker("start", "--detach", "--idle-exit", "30")
    eventually(lambda: not list(spool_dir().iterdir()), 30, "the spool is removed")


@contextlib.contextmanager
def frozen(broker: psutil.Process, seconds: float) -> Iterator[None]:
    """Freeze a broker for a while at least."""
    broker.suspend()
    until = time.monotonic() + seconds
    yield
    time.sleep(max(until - time.monotonic(), 0))
    broker.resume()


@contextlib.contextmanager
def disk_full(broker: psutil.Process, host: Host) -> Iterator[None]:
    """Let no file of a broker grow, until it has said so."""
    before = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    eventually(lambda: host.broker("status", "--ready").returncode == 69, 20, "the broker says so")
    yield
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "fault",
    [
        "disk full",
        pytest.param("frozen for a minute", marks=[pytest.mark.soak, pytest.mark.timeout(240)]),
    ],
)
def test_broker_takes_nothing_for_a_while(host: Host, fault: str) -> None:
    """A broker frozen for a minute (A3), or on a full disk (A6), costs the training nothing."""
    emitting = start(host, STEADY)
    eventually(lambda: len(numbers()) > 100, 20, "some events")
    broker = local_broker()
    with disk_full(broker, host) if fault == "disk full" else frozen(broker, 60):
        eventually((host.folder / "behind").exists, 30, "events wait in the spool")
        there = len(numbers())
    (host.folder / "mended").touch()
    ended = host.finish(emitting)
    flushed, count, dropped, worst = ended.stdout.split()
    assert (flushed, dropped) == ("True", "0"), ended
    assert there < int(count) - 300
    assert numbers() == list(range(int(count)))
    assert float(worst) < 2  # no wait of the broker's own; a loaded machine has pauses
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("age", ["as it was", "an old copy"])
def test_broker_replaced_by_one_with_the_old_journal(tmp_path: Path, age: str) -> None:
    """A new broker on the old journal, or on a copy of it, is given all that is still held (A5)."""
    journal, copy = tmp_path / "journal", tmp_path / "copy"
    first = Daemon(journal, "--listen", "tcp://127.0.0.1:0")
    sender = Sender(ClientConfig(broker=first.url, segment_bytes=4000))
    emit_some = functools.partial(_emit, sender)
    try:
        emit_some(0, 100)
        assert sender.flush(20)
        shutil.copytree(journal, copy)
        emit_some(100, 500)
        assert sender.flush(20)
        first.kill()
        emit_some(500, 600)
        if age == "an old copy":
            shutil.rmtree(journal)
            copy.rename(journal)
        with Daemon(journal, "--listen", first.url):
            assert sender.flush(20)
            emit_some(600, 700)
            assert sender.flush(20)
            sender.close()
    finally:
        sender.close(0.1)
    found = numbers(journal)
    if age == "as it was":
        assert found == list(range(700))
        return
    gone = set(range(700)) - set(found)
    assert found == sorted(set(found))
    assert set(found) >= {*range(100), *range(500, 700)}
    assert gone
    assert {number + 1 for number in gone} == set(elsewhere(journal))


def _emit(sender: Sender, first: int, end: int) -> None:
    """Emit numbers, in several batches."""
    for number in range(first, end):
        sender.emit(metric(number), RUN)
        if number % 20 == 0:
            time.sleep(0.02)


def elsewhere(journal: Path) -> list[int]:
    """Return the sequence numbers that the journal says its producer no longer held."""
    found: list[int] = []
    for each in read(journal):
        if isinstance(each, Record) and each.kind == records.NOTE:
            note = unpack(each.payload)
            if note["note"] == "elsewhere":
                found += range(note["first"], note["last"] + 1)
    return found


def test_spool_s_disk_is_full_while_running(host: Host) -> None:
    """A spool whose disk fills up costs one warning, no event, and is written again later (A9)."""
    ended = run(
        host,
        """
        import resource
        def some(first):
            for number in range(first, first + 300):
                emit(number)
                time.sleep(0.001)
            assert sender.flush(20)
        some(0)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        some(300)
        broken = sender._core._spool.broken
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        end = time.monotonic() + 20
        while sender._core._spool.broken and time.monotonic() < end:
            time.sleep(0.01)
        some(600)
        say(broken, sender._core._spool.broken, sender.status().dropped)
        """,
    )
    assert ended.stdout.split() == ["True", "False", "0"], ended
    assert numbers() == list(range(900))
    (warning,) = [line for line in ended.stderr.splitlines() if line.startswith("drytorch: ")]
    assert "File too large. Events are kept in memory only." in warning


def test_spool_at_its_limit(host: Host) -> None:
    """Beyond the limits of spool and queue: accepted = journaled + declared lost (A9, B11)."""
    in_the_way = obstacle()
    ended = run(
        host,
        """
        for number in range(20_000):
            emit(number)
        stop = StopExperimentEvent(exp_name="Exp", run_id="r", status="completed")
        sender.emit(stop, RUN)
        say(sender.status().accepted)
        """,
        spool_bytes=200_000,
        segment_bytes=50_000,
        queue_bytes=200_000,
        batch_bytes=20_000,
        reserved_bytes=50_000,
        away_wait=0.5,
    )
    assert (ended.returncode, ended.stdout) == (0, "20001\n"), ended
    in_the_way.unlink()
    take_in(host)
    lost = sum(each.event.count for each in envelopes() if isinstance(each.event, LossEvent))
    found = numbers()
    assert found == sorted(set(found))
    assert lost > 0
    assert len(found) + lost == 20_000
    assert kinds()["StopExperiment"] == 1


KILLED = {
    "idle": """
        for number in range(200):
            told(number)
        assert sender.flush(20)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    """,
    "in a burst": """
        killer = lambda: (time.sleep(0.2), os.kill(os.getpid(), signal.SIGKILL))
        threading.Thread(target=killer).start()
        number = 0
        while True:
            told(number)
            number += 1
    """,
    "inside a spool write": """
        from drytorch_client import spool
        write_all, writes = spool._write_all, []
        def write_half(descriptor, data):
            writes.append(1)
            if len(writes) == 100:
                os.write(descriptor, data[:len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            write_all(descriptor, data)
        spool._write_all = write_half
        for number in range(1000):
            told(number)
    """,
}


@pytest.mark.parametrize(
    ("when", "broker"),
    [("idle", True), ("in a burst", True), ("in a burst", False), ("inside a spool write", False)],
)
def test_killed_at_any_moment(host: Host, when: str, *, broker: bool) -> None:
    """Killed idle, in a burst, or in a spool write: all that `emit` took arrives, once (A10)."""
    in_the_way = None if broker else obstacle()
    ended = run(host, TELL + textwrap.dedent(KILLED[when]), spool="before_return")
    assert ended.returncode == -9, ended
    taken = [int(line) for line in ended.stdout.splitlines()]
    assert taken == list(range(len(taken)))
    assert len(taken) > 50
    if in_the_way is not None:
        in_the_way.unlink()
    take_in(host)
    # one more may be safe although it could not tell
    assert numbers() in (taken, [*taken, len(taken)])
