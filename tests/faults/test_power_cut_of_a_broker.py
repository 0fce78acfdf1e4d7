"""Power cuts under all that a broker keeps: segments, side files, retention, a restart."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from drytorch_broker import atomic_file
from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.retention import Retention
from drytorch_broker.state import State, open_state
from drytorch_schemas.control import Ack, FetchContext, Filter
from drytorch_schemas.packing import unpack
from power import Disk, PowerCutError
from uplinks import batch, hello, seqs

PRODUCERS = {name * 32: run * 32 for name, run in zip("abc", "def", strict=True)}


class Scenario:
    """A broker's state under random work, and what it promised."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.acknowledged = dict.fromkeys(PRODUCERS, 0)
        self.start = 0
        self.is_open = False
        self._open()

    def _open(self) -> None:
        keep = self.chance.choice([0, 12_000])
        self.state = open_state(config_of(self.folder, keep_bytes=keep), 0.0)
        self.is_open = True
        self._committer = Committer(self.state)
        self._retention = Retention(self.state)
        for producer in PRODUCERS:
            self.state.inlet.on_hello(hello(producer=producer), 0.0)

    def work_on(self) -> None:
        """Work until the power is gone."""
        while True:
            self.work()

    def work(self) -> None:
        """Do one of the things that a broker does."""
        match self.chance.randrange(20):
            case 0:
                self.start = max(self.start, self._retention._cut(time.time_ns()))
                self._retention.look()
            case 1:
                self.is_open = False
                self.state.close()
                self._open()
            case _:
                self.take()
                self.note(self._committer.commit(1.0))

    def take(self) -> None:
        """Take a batch, and do not commit it."""
        producer = self.chance.choice(list(PRODUCERS))
        first = self.state.inlet.producers[producer].appended + 1
        count = self.chance.randint(1, 12)
        kind = "StartExperiment" if first == 1 else "Metric"
        count = 1 if first == 1 else count
        header, body = batch(first, count, producer=producer, run=PRODUCERS[producer], kind=kind)
        self.state.inlet.on_batch(header, body, 1.0)

    def note(self, acks: list[Ack]) -> None:
        """Keep what was acknowledged."""
        for ack in acks:
            self.acknowledged[ack.producer] = max(self.acknowledged[ack.producer], ack.durable)


def config_of(folder: Path, *, keep_bytes: int = 0) -> BrokerConfig:
    """Return options with small segments."""
    return BrokerConfig(folder, segment_bytes=4096, keep_bytes=keep_bytes)


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
        disk = Disk(source, patch, left=chance.randrange(30, 900))
        scenario = Scenario(source, chance)
        with pytest.raises(PowerCutError):
            scenario.work_on()
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
