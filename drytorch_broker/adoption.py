"""Delivering what dead producers of this host left in their spools, under their own ids."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drytorch_broker.state import State
from drytorch_broker.verdict import Outcome
from drytorch_schemas import locations, spool_files
from drytorch_schemas.control import Hello, Probe, Refused
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.frames import UplinkHeader
from drytorch_schemas.locks import FileLock
from drytorch_schemas.record_order import Damage

_log: Final = logging.getLogger(__name__)
#: How often to look for orphans, seconds.
LOOK_EVERY: Final = 2.0
#: Bytes that are delivered before others get their turn.
_STEP_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Orphan:
    """The spool of a dead producer; its lock is held.

    Attributes:
        folder: the spool's folder.
        lock: its lock.
        meta: whose it is.
        last: the last sequence number that was delivered.
    """

    folder: Path
    lock: FileLock
    meta: spool_files.SpoolMeta
    last: int = 0
    _items: Iterator[spool_files.Batch | Damage] | None = field(default=None, repr=False)

    def items(self) -> Iterator[spool_files.Batch | Damage]:
        """Return the batches that are still to be delivered."""
        if self._items is None:
            self._items = (
                item
                for path in spool_files.spool_segments(self.folder)
                for item in spool_files.batches(path)
            )
        return self._items

    def again(self) -> None:
        """Begin again with the first batch."""
        self._items = None


class Adopter:
    """Looks for orphans and delivers them, a piece at a time."""

    def __init__(self, state: State, endpoint: Endpoint) -> None:
        """Initialize.

        Args:
            state: the broker's state.
            endpoint: where this broker listens: spools name their broker.
        """
        self._state = state
        self._names = _names(endpoint, state.config.journal)
        self._orphans: list[Orphan] = []
        self._left_alone: set[str] = set()

    @property
    def producers(self) -> set[str]:
        """The producers whose spools are being delivered."""
        return {orphan.meta.producer for orphan in self._orphans}

    @property
    def busy(self) -> bool:
        """Whether there is anything to deliver."""
        return bool(self._orphans)

    def look(self) -> None:
        """Take the spools whose owner is dead and that name this broker."""
        try:
            folders = sorted(path for path in locations.spool_dir().iterdir() if path.is_dir())
        except OSError:
            return
        for folder in folders:
            if folder.name not in self._left_alone and folder.name not in self.producers:
                self._take(folder)

    def expects(self, producer: str) -> bool:
        """Tell whether a producer that is dead left anything that is still to be delivered.

        Args:
            producer: its id.
        """
        if producer not in self.producers:
            self.look()  # it may have died since
        return producer in self.producers

    def _take(self, folder: Path) -> None:
        lock = FileLock(spool_files.lock_path(folder))
        try:
            if not lock.path.exists() or FileLock.held_by_other(lock.path):
                return
            meta = spool_files.read_meta(folder)
            if not ({meta.broker, meta.journal} & self._names) or meta.producer != folder.name:
                return
            if lock.acquire():
                self._orphans.append(Orphan(folder, lock, meta))
        except (OSError, SchemaError) as error:
            if folder.exists() and isinstance(error, SchemaError):
                self._leave_alone(folder, str(error))

    def _leave_alone(self, folder: Path, reason: str) -> None:
        self._left_alone.add(folder.name)
        _log.warning("the spool %s is not delivered: %s", folder, reason)

    def step(self, now: float) -> None:
        """Deliver a piece of the first orphan, or remove it when all of it is durable.

        Args:
            now: the time, seconds.
        """
        if not self._orphans or self._state.failing:
            return
        orphan = self._orphans[0]
        try:
            self._deliver(orphan, now)
        except (OSError, SchemaError) as error:
            self._give_up(orphan, str(error))

    def _deliver(self, orphan: Orphan, now: float) -> None:
        room = _STEP_BYTES
        for item in orphan.items():
            if isinstance(item, Damage):
                _log.warning("the spool %s is damaged: %s", orphan.folder, item.reason)
                continue
            if not self._hand_over(orphan, item, now):
                return
            room -= len(item.body)
            if room < 0:
                return
        producer = self._state.inlet.producers.get(orphan.meta.producer)
        if producer is None or producer.durable >= orphan.last:
            self._finish(orphan)
        elif producer.appended < orphan.last:
            orphan.again()  # the journal could not take all of it

    def _hand_over(self, orphan: Orphan, batch: spool_files.Batch, now: float) -> bool:
        meta, inlet = orphan.meta, self._state.inlet
        if not orphan.last:
            hello = Hello(
                producer=meta.producer,
                token=meta.token,
                host=meta.host,
                pid=meta.pid,
                oldest=batch.first,
                next=batch.first,
                adopted=True,
            )
            answer = inlet.on_hello(hello, now)
            if isinstance(answer, Refused):
                self._give_up(orphan, answer.text)
                return False
        else:  # what is damaged in between is not coming any more
            last = orphan.last
            inlet.on_probe(
                Probe(producer=meta.producer, token=meta.token, last=last, oldest=batch.first), now
            )
        orphan.last = max(orphan.last, batch.first + batch.count - 1)
        header = UplinkHeader(False, meta.producer, meta.token, batch.first, batch.count)  # noqa: FBT003  # not live
        verdict = inlet.on_batch(header, batch.body, now)
        if verdict.outcome is Outcome.REFUSED:
            self._state.rejects.add(verdict.reason, f"{orphan.folder}: {verdict.text}")
        return True

    def _finish(self, orphan: Orphan) -> None:
        producer = self._state.inlet.producers.get(orphan.meta.producer)
        if producer is not None:
            producer.finished, producer.adopted = True, True
        self._orphans.remove(orphan)
        try:
            spool_files.remove_spool(orphan.folder)
        except OSError as error:
            self._leave_alone(orphan.folder, f"it is delivered, but stays: {error.strerror}")
        orphan.lock.release()
        _log.info("delivered what producer %s left, up to %d", orphan.meta.producer, orphan.last)

    def _give_up(self, orphan: Orphan, reason: str) -> None:
        self._orphans.remove(orphan)
        self._leave_alone(orphan.folder, reason)
        orphan.lock.release()

    def close(self) -> None:
        """Give the locks back; the next broker or client goes on."""
        for orphan in self._orphans:
            orphan.lock.release()
        self._orphans.clear()


def _names(endpoint: Endpoint, journal: Path) -> set[str]:
    """Return the names by which spools may call this broker."""
    names = {endpoint.url, str(journal), str(journal.resolve())}
    for host in ("localhost", "[::1]"):
        names.add(endpoint.url.replace("127.0.0.1", host))
    return names
