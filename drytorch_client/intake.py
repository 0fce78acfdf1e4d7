"""From the queue to the spool: events are numbered, encoded and written, a batch at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from drytorch_client.config import ClientConfig
from drytorch_client.device_values import PendingEvent
from drytorch_client.errors import SpoolError
from drytorch_client.event_queue import EventQueue, Item, Tally
from drytorch_client.identity import RunIdentity
from drytorch_client.spool import Spool
from drytorch_schemas.envelope import Origin, encode_fields, renumber
from drytorch_schemas.errors import EncodingError
from drytorch_schemas.events import LossEvent
from drytorch_schemas.frames import array_of

#: Most loss records in one batch.
_MAX_LOSSES: Final = 16
#: Runs whose part of the envelope is remembered.
_MAX_ORIGINS: Final = 64


class Intake:
    """Takes events out of the queue, in the order in which they get their numbers.

    Attributes:
        next: the sequence number that the next event gets.
        ready: batches for the uplink: first number, count, body, and whether the spool has it.
        busy: whether it is at work.
        spool_error: why the spool could not be written; None where it could, or once it was read.
    """

    def __init__(
        self, producer: str, queue: EventQueue, spool: Spool, config: ClientConfig
    ) -> None:
        """Initialize.

        Args:
            producer: id of the producer.
            queue: where events come from.
            spool: where batches go.
            config: sizes of batches.
        """
        self.next = 1
        self.ready: deque[tuple[int, int, bytes, bool]] = deque()
        self.busy = False
        self.spool_error: SpoolError | None = None
        self._producer: Final = producer
        self._queue: Final = queue
        self._spool: Final = spool
        self._config: Final = config
        self._lock: Final = threading.RLock()
        self._no_events: deque[tuple[int, int]] = deque()
        self._no_events_before = 0
        self._origins: dict[int, tuple[RunIdentity, Origin]] = {}
        self._owed_losses: deque[Tally] = deque()

    def drain(self, *, wait: bool = False) -> bool:
        """Number, encode and spool one batch.

        Args:
            wait: whether to wait for values that a device is still computing.

        Returns:
            Whether there was one. False too where this thread is at it already: the call comes
            from a handler that interrupted it, and the outer call takes what the handler put.
        """
        with self._lock:
            if self.busy:
                return False
            self.busy = True
            try:
                return self._drain(wait=wait)
            finally:
                self.busy = False

    def _drain(self, *, wait: bool) -> bool:
        bodies = self._loss_records()
        items = self._queue.take(self._config.batch_events - len(bodies), self._config.batch_bytes)
        try:
            if not wait:
                items = self._settled(items)
            self._encode(items, bodies)
        except BaseException:  # a Ctrl-C in `emit`, where that writes the spool itself
            self._queue.put_back(items)
            raise
        if bodies:
            self._hand_on(bodies)
        return bool(bodies)

    def _hand_on(self, bodies: list[bytes]) -> None:
        first, count, body = self.next, len(bodies), array_of(bodies)
        self.next += count
        spooled = False
        try:
            if not self._spool.broken:
                self._spool.append(first, count, body)
                spooled = True
        except SpoolError as error:
            self.spool_error = error
        finally:
            self.ready.append((first, count, body, spooled))

    def _settled(self, items: list[Item]) -> list[Item]:
        """Put back what waits for a device, and what comes behind it."""
        for place, item in enumerate(items):
            if type(item.payload) is PendingEvent and not item.payload.ready():
                self._queue.put_back(items[place:])
                return items[:place]
        return items

    def _encode(self, items: list[Item], bodies: list[bytes]) -> None:
        # the loop that every event goes through
        identity, seq = None, self.next + len(bodies)
        for item in items:
            if item.identity is not identity:
                identity, origin = item.identity, self.origin_of(item.identity)
            payload = item.payload
            try:
                if type(payload) is bytes:
                    data = renumber(payload, origin, item.kind, seq)
                else:
                    fields = payload.to_wire()
                    data = encode_fields(
                        origin, item.kind, seq, item.time, fields, again=item.again
                    )
            except EncodingError:
                self._queue.lose(item.identity, item.kind, "cannot be encoded")
                continue
            except RuntimeError:  # what torch raises when a device has failed
                self._queue.lose(item.identity, item.kind, "its device failed")
                continue
            bodies.append(data)
            seq += 1

    def live(self) -> list[bytes]:
        """Take out and encode the live events."""
        encoded = []
        for item in self._queue.take_live():
            payload = item.payload
            if type(payload) is PendingEvent and not payload.ready():
                continue  # the next one of its pass will be
            try:
                origin = self.origin_of(item.identity)
                encoded.append(encode_fields(origin, item.kind, 0, item.time, payload.to_wire()))
            except (EncodingError, RuntimeError):
                self._queue.live_dropped += 1
        return encoded

    def _loss_records(self) -> list[bytes]:
        self._owed_losses.extend(self._queue.take_losses())
        by_run: dict[tuple[str, int, str], tuple[RunIdentity, dict[str, int]]] = {}
        while self._owed_losses and len(by_run) < _MAX_LOSSES:
            tally = self._owed_losses.popleft()
            key = (tally.identity.run, tally.identity.rank, tally.reason)
            kinds = by_run.setdefault(key, (tally.identity, {}))[1]
            kinds[tally.kind] = kinds.get(tally.kind, 0) + tally.count
        records: list[bytes] = []
        for (_, _, reason), (identity, kinds) in by_run.items():
            event = LossEvent(count=sum(kinds.values()), reason=reason, kinds=kinds)
            seq = self.next + len(records)
            origin = self.origin_of(identity)
            records.append(encode_fields(origin, event.kind, seq, time.time_ns(), event.to_wire()))
            self._no_events.append((seq, 1))
        return records

    def lost(self, first: int, last: int) -> None:
        """Note that numbered events are lost; each is declared in a loss record of its own.

        Args:
            first: their first number.
            last: their last number.
        """
        self._no_events.append((last, last - first + 1))

    def split_at(self, durable: int) -> tuple[int, int]:
        """Return how many accepted events are acknowledged, and how many wait.

        Loss records have numbers, but are no events that anybody emitted.

        Args:
            durable: the last acknowledged number.
        """
        with self._lock:
            waiting = self.next - 1 - durable
            for _ in range(len(self._no_events)):
                number, count = self._no_events.popleft()
                if number <= durable:
                    self._no_events_before += count
                else:
                    self._no_events.append((number, count))
                    waiting -= count
            return durable - self._no_events_before, waiting

    def origin_of(self, identity: RunIdentity) -> Origin:
        """Return the part of envelopes that a run's events share.

        Args:
            identity: the run.
        """
        known = self._origins.get(id(identity))
        if known is None:
            origin = identity.origin(self._producer)
            if len(self._origins) >= _MAX_ORIGINS:
                self._origins.clear()
            # with the identity itself, so that nobody else gets its id
            known = self._origins[id(identity)] = (identity, origin)
        return known[1]
