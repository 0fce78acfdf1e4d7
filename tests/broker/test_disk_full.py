"""A full, read-only or failing disk: nothing acknowledged that is not there, and back by itself."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.errors import LogWriteError
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from drytorch_broker.log import TopicKey
from drytorch_broker.state import open_state
from drytorch_schemas.control import Ack
from drytorch_schemas.packing import pack
from drytorch_schemas.records import ENVELOPE
from raw_broker import Client, Daemon, run
from uplinks import batch, hello, seqs


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can make a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(client: Client, upto: int) -> int:
    """Publish batches until the broker says that it is full; return the last number sent."""
    end = time.monotonic() + 20
    seq = 1
    while seq < upto:
        client.publish(seq, 100)
        seq += 100
        answer = client.probe(seq - 1)
        if answer.full:
            return seq - 1
        assert time.monotonic() < end
    pytest.fail("the broker was never full")


def deliver(client: Client, last: int, seconds: float = 20) -> Ack:
    """Resend what the broker asks for until all is acknowledged."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = client.receive(lambda found: found.type in {"nak", "ack"}, seconds)
        if isinstance(message, Ack) and message.durable >= last:
            return message
        if message.type == "nak":
            for first in range(message.first, message.last + 1, 100):
                client.publish(first, min(100, message.last - first + 1))
    pytest.fail("not everything was acknowledged")


def test_disk_full_and_back(small_disk: Path) -> None:
    """On a full disk the broker stops acknowledging, says so, serves what it has, is back (C11)."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    with Daemon(small_disk / "journal") as broker, Client(broker.url) as client:
        client.welcome()
        last = fill(client, 20_000)
        status = broker.ask("status")
        assert (status["ready"], status["full"]) == (False, True)
        assert "No space left" in status["reason"]
        assert run("status", "--ready", "--journal", broker.journal).returncode == 69
        assert run("status", "--live", "--journal", broker.journal).returncode == 0
        durable = client.probe(last).durable
        assert 0 < durable < last
        assert seqs(client.fetch().records) == list(range(1, durable + 1))
        ballast.unlink()
        deliver(client, last)
        assert broker.ask("status")["ready"]
        assert seqs(client.fetch().records) == list(range(1, last + 1))
    with Daemon(small_disk / "journal") as broker, Client(broker.url) as client:
        assert client.welcome(oldest=last + 1, upcoming=last + 1).durable == last
        assert broker.ask("status")["damage"] == []


def test_killed_on_a_full_disk(small_disk: Path) -> None:
    """A broker killed on a full disk starts again there, and serves what it acknowledged."""
    (small_disk / "ballast").write_bytes(bytes(500_000))
    with Daemon(small_disk / "journal") as broker, Client(broker.url) as client:
        client.welcome()
        last = fill(client, 20_000)
        durable = client.probe(last).durable
        broker.kill()
    (small_disk / "ballast").unlink()
    with Daemon(small_disk / "journal") as broker, Client(broker.url) as client:
        assert client.welcome(oldest=durable + 1, upcoming=last + 1).durable >= durable
        found = seqs(client.fetch().records)
        assert found == list(range(1, len(found) + 1))


def test_read_only_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that becomes read-only is survived like a full one (C12)."""
    state = open_state(BrokerConfig(tmp_path), 0.0)
    committer = Committer(state)
    state.inlet.on_hello(hello(), 0.0)

    def put(first: int, now: float) -> list[Ack]:
        state.inlet.on_batch(*batch(first, 10), now)
        return committer.commit(now)

    assert [ack.durable for ack in put(1, 1.0)] == [10]
    with monkeypatch.context() as patch:
        for name in ("pwrite", "open", "ftruncate", "unlink"):
            patch.setattr(os, name, _read_only)
        assert [(ack.durable, ack.full) for ack in put(11, 2.0)] == [(10, True)]
        assert put(21, 2.5) == []
        assert committer.try_again(4.0) == []
        assert "Read-only" in state.failing
    assert [ack.full for ack in committer.try_again(6.0)] == [False]
    assert [(nak.first, nak.last) for nak in state.inlet.tick(6.0)] == [(11, 30)]
    put(11, 7.0)
    assert [ack.durable for ack in put(21, 7.0)] == [30]
    found = state.log.read(0, state.log.durable, None, 1 << 20, 1000).records
    assert seqs(found) == list(range(1, 31))
    state.close()


def _read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_the_hard_limit(tmp_path: Path) -> None:
    """At --max-bytes the journal acts as if the disk were full, and nothing is deleted."""
    with Daemon(tmp_path, "--max-bytes", "100000") as broker, Client(broker.url) as client:
        client.welcome()
        last = fill(client, 20_000)
        assert "limit of 100000 bytes" in broker.ask("status")["reason"]
        durable = client.probe(last).durable
        assert seqs(client.fetch().records) == list(range(1, durable + 1))
        assert broker.ask("status")["bytes"] <= 100_000


def test_a_nearly_full_journal_stays_full(tmp_path: Path) -> None:
    """A journal with less room than the last commit needed does not say that it takes events."""
    log = Recovery(tmp_path, LogOptions(max_bytes=20_000)).open()
    record = pack({"v": "x" * 4000})
    topic = TopicKey("Exp", "r", "u", "Metric")
    for _ in range(4):
        log.append(ENVELOPE, [record], [topic])
        log.sync()
    log.append(ENVELOPE, [record], [topic])
    with pytest.raises(LogWriteError):
        log.sync()
    log.rollback()
    assert log.durable == 4
    assert log.size < 20_000
    assert not log.writable()
    log.append(ENVELOPE, [pack({"v": "small"})], [topic])
    log.sync()
    assert log.writable()
    log.close()


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """Where files may not grow the journal goes on in new segments."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        broker = Daemon(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with broker, Client(broker.url) as client:
        client.welcome()
        for first in range(1, 1000, 100):
            client.publish(first, 100)
        deliver(client, 1000)
        assert seqs(client.fetch().records) == list(range(1, 1001))
        assert len(list(tmp_path.glob("*.msgpack"))) > 1


def test_exactly_once_when_killed_time_and_again(tmp_path: Path) -> None:
    """A broker killed between any two batches, six times, has each event once, in order (A2)."""
    sent = 0
    for turn in range(6):
        with Daemon(tmp_path, "--segment-bytes", "20000") as broker, Client(broker.url) as client:
            durable = client.welcome(oldest=1, upcoming=sent + 1).durable
            assert durable <= sent
            sent = max(sent, durable) + 57
            for first in range(durable + 1, sent + 1, 10):
                client.publish(first, min(10, sent - first + 1))
            if turn % 2:
                client.acknowledged(sent)  # at least these are there at the end
            else:
                client.control.poll(int(os.urandom(1)[0] / 10))
            broker.kill()
    with Daemon(tmp_path) as broker, Client(broker.url) as client:
        durable = client.welcome(oldest=1, upcoming=sent + 1).durable
        assert seqs(client.fetch().records) == list(range(1, durable + 1))
        assert durable >= 57 * 5
