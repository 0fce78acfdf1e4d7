"""Everything that a broker knows, without sockets: the journal and what it determines."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drytorch_broker.config import BrokerConfig
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from drytorch_broker.filelog.writer import FileLog
from drytorch_broker.history import History
from drytorch_broker.inlet import Inlet
from drytorch_broker.log import TopicKey
from drytorch_broker.producers import Producer
from drytorch_broker.rejects import Rejects
from drytorch_broker.runs import Runs
from drytorch_broker.snapshot import Snapshot
from drytorch_broker.worker_files import WorkerFiles
from drytorch_broker.workers import Workers

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What `status` counts since the broker started.

    Attributes:
        events: envelopes that became durable.
        duplicates: batches that came again.
        commits: group commits.
        live: live events that were passed on.
        seconds_full: how long nothing could be written.
    """

    events: int = 0
    duplicates: int = 0
    commits: int = 0
    live: int = 0
    seconds_full: float = 0.0


@dataclass(slots=True)
class State:
    """A broker's state.

    Attributes:
        config: its options.
        log: the journal.
        inlet: producers and their order.
        runs: the run index.
        workers: names and cursors.
        history: answers to fetches.
        rejects: what was refused.
        host: name of this host.
        started: when the broker started, seconds since 1970.
        report: what recovery found wrong, one sentence each.
        counters: counts since the start.
        failing: why nothing can be written at the moment; empty while all is well.
    """

    config: BrokerConfig
    log: FileLog
    inlet: Inlet
    runs: Runs
    workers: Workers
    history: History
    rejects: Rejects
    host: str = field(default_factory=lambda: os.uname().nodename)
    started: float = field(default_factory=time.time)
    report: list[str] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    failing: str = ""

    def save_snapshot(self) -> None:
        """Write `state.snapshot`; a failure costs a longer start, nothing else."""
        try:
            self.write_snapshot()
        except OSError as error:
            _log.warning("the state cannot be saved: %s", error.strerror)

    def write_snapshot(self) -> None:
        """Write `state.snapshot`.

        Raises:
            OSError: the file is as it was.
        """
        producers = [
            [each.id, each.token, each.host, each.durable, each.noted]
            for each in self.inlet.producers.values()
            if each.durable or each.noted
        ]
        snapshot = Snapshot(self.log.journal_id, self.log.durable, producers, self.runs.snapshot())
        snapshot.save(self.config.journal)

    def close(self) -> None:
        """Save what a next start needs, and release the files."""
        self.workers.flush()
        self.save_snapshot()
        self.log.close()
        self.rejects.close()


def open_state(config: BrokerConfig, now: float) -> State:
    """Open a journal and return what it determines.

    Args:
        config: the broker's options; its folder is there and its lock is held.
        now: the time on the clock that the broker uses, seconds.

    Raises:
        JournalFormatError: a segment is of a newer format version.
        StorageError: the folder cannot be read or written.
        OSError: the workers' folder cannot be made.
    """
    snapshot = Snapshot.load(config.journal)
    producers: dict[str, Producer] = {}
    runs = Runs()
    if snapshot is not None:
        runs.restore(snapshot.runs)
        producers = {row[0]: _producer(row, now) for row in snapshot.producers}
    recovery = Recovery(
        config.journal,
        LogOptions(config.segment_bytes, config.fsync, max_bytes=config.max_bytes),
        known_id=snapshot.journal if snapshot else None,
        since=snapshot.offset if snapshot else 0,
        observe=_Observer(producers, runs, now),
    )
    log = recovery.open()
    if snapshot is not None and log.journal_id != snapshot.journal:
        # Another journal lies there now: what the snapshot says is about the old one.
        log.close()
        (config.journal / "state.snapshot").unlink()
        return open_state(config, now)
    for line in recovery.report:
        _log.warning("journal: %s", line)
    inlet = Inlet(log)
    inlet.producers.update(producers)
    return State(
        config,
        log,
        inlet,
        runs,
        Workers(WorkerFiles(config.journal / "workers"), log.journal_id, now),
        History(log, runs),
        Rejects(config.journal / "rejects"),
        report=recovery.report,
    )


def _producer(row: list[Any], now: float) -> Producer:
    name, token, host, durable, noted = row
    return Producer(
        name,
        token,
        host,
        appended=durable,
        durable=durable,
        highest=durable,
        noted=noted,
        seen=now,
    )


class _Observer:
    """Applies records that are read back to producers and runs."""

    def __init__(self, producers: dict[str, Producer], runs: Runs, now: float) -> None:
        self._producers = producers
        self._runs = runs
        self._now = now

    def __call__(
        self, _kind: int, offset: int, topic: TopicKey | None, wire: Mapping[str, Any]
    ) -> None:
        """Take in one record."""
        if topic is not None:
            self._advance(wire["producer"], wire["seq"])
            self._runs.apply_record(offset, topic, wire)
            return
        match wire:
            case {"note": "producer", "producer": str(name), "token": bytes(token), "host": host}:
                producer = self._advance(name, 0)
                producer.token, producer.host, producer.noted = token, str(host), True
            case {"note": "elsewhere", "producer": str(name), "last": int(last)}:
                self._advance(name, last)

    def _advance(self, name: str, seq: int) -> Producer:
        producer = self._producers.get(name)
        if producer is None:
            producer = self._producers[name] = Producer(name, seen=self._now)
        if seq > producer.durable:
            producer.appended = producer.durable = producer.highest = seq
        return producer
