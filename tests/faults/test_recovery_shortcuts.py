"""Starts after a kill: fast by what was saved in time, and the same as without any of it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

import big_journal
from broker_work import Scenario, config_of
from drytorch_broker import snapshot
from drytorch_broker.filelog import reading, scan
from drytorch_broker.state import State, open_state
from drytorch_schemas.records import ENVELOPE
from uplinks import event, topic

SEGMENT = 1 << 20


def known(state: State) -> tuple[object, ...]:
    """Return all that a journal determines."""
    log = state.log
    producers = sorted(
        (each.id, each.token, each.host, each.durable, each.noted)
        for each in state.inlet.producers.values()
    )
    records = log.read(0, log.durable, None, 1 << 30, 10**6).records
    return log.start, log.head, producers, sorted(state.runs.snapshot()), records


@pytest.mark.parametrize("seed", range(10))
def test_side_files_change_nothing(tmp_path: Path, seed: int) -> None:
    """After a kill a broker knows the same with its side files as from the journal alone (C1)."""
    (tmp_path / "journal").mkdir()
    chance = random.Random(seed)
    scenario = Scenario(tmp_path / "journal", chance, trims=False)
    snapshots: list[bytes] = []
    for _ in range(150):
        scenario.work()
        if (scenario.folder / snapshot.NAME).exists():
            snapshots.append((scenario.folder / snapshot.NAME).read_bytes())
    killed, bare = tmp_path / "killed", tmp_path / "bare"
    shutil.copytree(scenario.folder, killed)
    earlier = shutil.copytree(killed, tmp_path / "before it could save its state")
    (earlier / snapshot.NAME).write_bytes(chance.choice(snapshots[-40:]))
    bare.mkdir()
    for path in killed.glob("*.msgpack"):
        shutil.copy(path, bare)
    found = []
    for folder in (killed, earlier, bare):
        state = open_state(config_of(folder), 0.0)
        found.append(known(state))
        assert state.report == []
        state.close()
    assert found[0] == found[1] == found[2]
    scenario.state.close()


def test_a_start_after_a_kill_reads_the_end_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start after a kill reads a quarter of the last segment at most, no other one (C19)."""
    head = big_journal.write(tmp_path, 10_000, 0.95, SEGMENT)
    read = Mock(wraps=scan.read_record)
    monkeypatch.setattr(scan, "read_record", read)
    state = open_state(config_of(tmp_path), 0.0)
    assert state.log.head == head
    last = state.log.segments[-1]
    assert read.call_count < (last.end - last.first) * 0.4
    state.log.append(ENVELOPE, [event(1)], [topic()])
    state.log.sync()
    assert len(state.log.read(0, head + 1, None, 1 << 30, 10**6).records) == head + 1
    state.close()


def test_indexes_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many segments are read, their indexes take no more memory than is allowed (C19)."""
    head = big_journal.write(tmp_path, 20_000, segment_bytes=SEGMENT)
    state = open_state(config_of(tmp_path), 0.0)
    reader = state.log._reader
    one = next(index for each in state.log.segments if (index := each.loaded()) is not None)
    monkeypatch.setattr(reading, "_INDEX_BYTES", int(2.5 * one.memory))
    for _ in range(2):
        assert len(state.log.read(0, head, None, 1 << 30, 10**6).records) == head
        assert len(reader._cache) == 2
        assert reader._cached == sum(each.memory for each in reader._cache.values())
    state.close()
