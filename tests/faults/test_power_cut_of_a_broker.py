"""Power cuts under all that a broker keeps: segments, side files, retention, a restart."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from broker_work import PRODUCERS, Scenario, config_of
from drytorch_broker import atomic_file
from drytorch_broker.filelog import durable_file
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from drytorch_broker.retention import Retention
from drytorch_broker.state import State, open_state
from drytorch_schemas.control import FetchContext, Filter
from drytorch_schemas.packing import unpack
from power import Disk, PowerCutError
from uplinks import seqs


def assert_kept(state: State, scenario: Scenario) -> None:
    """Fail where something that was promised is not there."""
    log = state.log
    assert log.start <= scenario.start
    records = log.read(0, log.durable, None, 1 << 30, 10**6).records
    for producer, run in PRODUCERS.items():
        if not scenario.acknowledged[producer]:
            continue
        known = state.inlet.producers[producer].durable
        assert known >= scenario.acknowledged[producer]
        found = seqs(records, producer)
        assert found == list(range(known + 1 - len(found), known + 1))
        context = FetchContext(before=log.durable, filters=[Filter(run=run)])
        (begun,) = unpack(state.history.context(context))["records"]
        assert unpack(begun[1])["kind"] == "StartExperiment"
    offsets = {offset for offset, _ in records}
    holes = [line for line in state.report if "missing" in line or "lost" in line]
    assert holes == [], sorted(offsets)


@pytest.mark.parametrize("seed", range(40))
def test_a_power_cut_costs_nothing_that_was_promised(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut at any moment nothing acknowledged and no run's start is missing (C2)."""
    chance = random.Random(seed)
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with monkeypatch.context() as patch:
        if seed % 4:
            disk = Disk(source, patch, left=chance.randrange(30, 900))
        else:  # in the middle of removals, of which there are few
            disk = Disk(source, patch, left=chance.randrange(1, 9), at="unlink")
        scenario = Scenario(source, chance)
        with pytest.raises(PowerCutError):
            scenario.work_on(disk)
    disk.after_the_cut(target, chance)
    state = open_state(config_of(target), 0.0)
    Retention(state)
    assert_kept(state, scenario)
    state.close()
    if scenario.is_open:
        scenario.state.close()


def test_removed_segments_come_back_in_order_if_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment is removed for good before the next one, so that none is missing between (C2)."""
    scenario = Scenario(tmp_path, random.Random(1))
    for _ in range(60):
        scenario.take()
        scenario.note(scenario._committer.commit(1.0))
    removed: list[str] = []
    unlink, sync_folder = os.unlink, atomic_file.sync_folder

    def note_unlink(path: Path, **_: int) -> None:
        removed.append(Path(path).suffix)
        unlink(path)

    def note_sync(folder: Path) -> None:
        removed.append("synced")
        sync_folder(folder)

    monkeypatch.setattr(os, "unlink", note_unlink)
    monkeypatch.setattr(atomic_file, "sync_folder", note_sync)
    scenario.state.log.trim(scenario.state.log.durable)
    segments = removed.count(".msgpack")
    assert segments > 2
    assert removed == [".msgpack", ".index", "synced"] * segments
    scenario.state.close()


def test_how_far_it_was_is_on_disk_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acknowledged before a start is told from a torn tail after it (C2)."""
    scenario = Scenario(tmp_path, random.Random(1))
    for _ in range(20):
        scenario.work()
    head = scenario.state.log.durable
    scenario.state.log.close()
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path, patch, left=10_000)
        Recovery(tmp_path, LogOptions()).open().close()
    content = disk.durable((tmp_path / durable_file.NAME).stat().st_ino)
    assert content == durable_file.encode(scenario.state.log.journal_id, head)
