"""Faults of the journal (C) with a real broker: killed by name, replaced, trimmed, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from doomed import Doomed, tear
from drytorch_broker import failpoints
from drytorch_schemas.journal_reader import Record, read
from drytorch_schemas.records import ENVELOPE
from raw_broker import Client, Daemon
from uplinks import event, seqs

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
