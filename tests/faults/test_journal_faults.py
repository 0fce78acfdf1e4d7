"""Faults of the journal (C) with a real broker: killed by name, replaced, trimmed, refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from doomed import Doomed, tear
from drytorch_broker import failpoints
from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.retention import Retention
from drytorch_broker.snapshot import Snapshot
from drytorch_broker.state import open_state
from drytorch_schemas.journal_reader import Record, read
from drytorch_schemas.records import ENVELOPE
from raw_broker import Client, Daemon
from uplinks import PRODUCER, batch, event, hello, seqs

#: What a broker passes while it takes events, and at which time it is killed there.
TAKING = {
    "journal.append": 4,
    "journal.segment": 2,
    "journal.write": 3,
    "journal.written": 3,
    "journal.fsync": 2,
    "journal.synced": 3,
    "durable.write": 4,
    "journal.full": 2,
    "file.drafted": 4,
    "file.renamed": 4,
}
TRIMMING = {"journal.trim": 2, "journal.trimmed": 2}
STARTING = ("recovery.aside", "recovery.done", "recovery.cut", "file.renamed", "durable.write")


def test_every_place_is_tried() -> None:
    """The tests of this file kill brokers at each place that has a name (C1)."""
    assert {*TAKING, *TRIMMING, *STARTING} == set(failpoints.NAMES)


def assert_whole(journal: Path, acknowledged: int) -> None:
    """Fail where what a broker serves, or the files hold, is not every event once and in order."""
    with Daemon(journal) as broker, Client(broker.url) as client:
        durable = client.welcome(oldest=acknowledged + 1, upcoming=acknowledged + 1).durable
        assert durable >= acknowledged
        served = seqs(client.fetch().records)
        assert served == list(range(served[0], durable + 1))
    records = [each for each in read(journal) if isinstance(each, Record)]
    assert [each.offset for each in records] == list(
        range(records[0].offset, records[-1].offset + 1)
    )
    payloads = [each.payload for each in records if each.kind == ENVELOPE]
    assert payloads == [event(seq) for seq in served]


@pytest.mark.parametrize("start", range(5))
def test_killed_at_a_place_and_again_while_it_recovers(tmp_path: Path, start: int) -> None:
    """Killed at every named place, then again in recovery, it keeps what it acknowledged (C1)."""
    acknowledged = 0
    for point in list(TAKING)[start::5]:
        acknowledged = Doomed(tmp_path, f"{point}:{TAKING[point]}").feed(acknowledged)
        tear(tmp_path)
        acknowledged = Doomed(tmp_path, STARTING[start]).feed(acknowledged)
    assert acknowledged > 0
    assert_whole(tmp_path, acknowledged)


@pytest.mark.parametrize("point", TRIMMING)
def test_killed_while_it_removes_old_segments(tmp_path: Path, point: str) -> None:
    """Killed between any two removals, a journal lacks its oldest events and no others (C1)."""
    acknowledged = Doomed(tmp_path, "journal.full:6").feed(0)
    again = Doomed(tmp_path, f"{point}:{TRIMMING[point]}", "--keep-bytes", "8000")
    acknowledged = again.feed(acknowledged)  # it may tell of more than was heard before
    assert_whole(tmp_path, acknowledged)
    (first, *_) = read(tmp_path)
    assert isinstance(first, Record)
    assert first.offset > 0


def test_nothing_is_removed_before_its_producers_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the state cannot be saved, old segments stay: they tell which events came (C18)."""
    state = open_state(BrokerConfig(tmp_path, segment_bytes=4096, keep_bytes=8000), 0.0)
    committer = Committer(state)
    state.inlet.on_hello(hello(), 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "save", no_room)
        for seq in range(1, 100):
            state.inlet.on_batch(*batch(seq), 1.0)
            committer.commit(1.0)
        Retention(state).look()
    assert state.log.start == 0
    Retention(state).look()
    assert state.log.start > 0
    (tmp_path / "durable").unlink()
    killed = open_state(BrokerConfig(tmp_path), 0.0)
    assert killed.inlet.producers[PRODUCER].durable == 99
    killed.close()
    state.log.close()


def no_room(*_: object) -> None:
    """Be a disk without room for a side file."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_fsync_that_fails_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fsync failed for is not acknowledged until it was sent again and is there (C10)."""
    state = open_state(BrokerConfig(tmp_path), 0.0)
    committer = Committer(state)
    state.inlet.on_hello(hello(), 0.0)
    state.inlet.on_batch(*batch(1, 5), 1.0)
    assert [ack.durable for ack in committer.commit(1.0)] == [5]
    state.inlet.on_batch(*batch(6, 5), 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        assert [(ack.durable, ack.full) for ack in committer.commit(1.0)] == [(5, True)]
    assert seqs(state.log.read(0, 99, None, 1 << 20, 99).records) == list(range(1, 6))
    assert [ack.durable for ack in committer.try_again(2.0)] == [5]
    (nak,) = state.inlet.tick(2.0)
    assert (nak.first, nak.last) == (6, 10)
    state.inlet.on_batch(*batch(6, 5), 2.0)
    assert [ack.durable for ack in committer.commit(2.0)] == [10]
    state.close()
    assert_whole(tmp_path, 10)


def broken(_: int) -> None:
    """Be a disk that lost a page."""
    raise OSError(errno.EIO, "Input/output error")
