"""A broker's state under random work, without sockets, and what it promised meanwhile."""

from __future__ import annotations

import random
import time
from pathlib import Path

from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.retention import Retention
from drytorch_broker.state import open_state
from drytorch_schemas.control import Ack
from power import Disk, ProcessKilledError
from uplinks import batch, hello

PRODUCERS = {name * 32: run * 32 for name, run in zip("abc", "def", strict=True)}


class Scenario:
    """A broker's state under random work, and what it promised."""

    def __init__(self, folder: Path, chance: random.Random, *, trims: bool = True) -> None:
        self.folder = folder
        self._trims = trims
        self.chance = chance
        self.acknowledged = dict.fromkeys(PRODUCERS, 0)
        self.start = 0
        self.is_open = False
        self._open()

    def _open(self) -> None:
        keep = self.chance.choice([0, 12_000]) if self._trims else 0
        self.state = open_state(config_of(self.folder, keep_bytes=keep), 0.0)
        self.is_open = True
        for each in self.state.inlet.producers.values():
            self._count(each.id, each.durable)  # what a welcome says is a promise, too
        self._committer = Committer(self.state)
        self._retention = Retention(self.state)
        for producer in PRODUCERS:
            self.state.inlet.on_hello(hello(producer=producer), 0.0)

    def work_on(self, disk: Disk) -> None:
        """Work, and be killed now and then, until the power is gone."""
        while True:
            if self.chance.random() < 0.05:
                self.is_killed(disk)
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
            self._count(ack.producer, ack.durable)

    def _count(self, producer: str, durable: int) -> None:
        self.acknowledged[producer] = max(self.acknowledged[producer], durable)

    def is_killed(self, disk: Disk) -> None:
        """Die after writing a commit and before it is on disk, and be started again."""
        self.take()
        disk.kills = True
        try:
            self._committer.commit(1.0)
        except ProcessKilledError:
            self.is_open = False
            self._open()
        disk.kills = False


def config_of(folder: Path, *, keep_bytes: int = 0) -> BrokerConfig:
    """Return options with small segments."""
    return BrokerConfig(folder, segment_bytes=4096, keep_bytes=keep_bytes)
