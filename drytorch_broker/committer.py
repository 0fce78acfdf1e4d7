"""Group commit: make durable what the inlet appended, then acknowledge it; go on after failures."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from drytorch_broker.batch import Batch
from drytorch_broker.errors import LogWriteError
from drytorch_broker.log import TopicKey
from drytorch_broker.state import State
from drytorch_schemas import envelope
from drytorch_schemas.control import Ack
from drytorch_schemas.envelope import Origin
from drytorch_schemas.events import Event
from drytorch_schemas.records import ENVELOPE

_log: Final = logging.getLogger(__name__)
#: How often to look whether a failed journal can be written again, seconds.
RETRY_EVERY: Final = 1.0
#: The first look after a failure that is not one of room: a new segment may be all it takes.
RETRY_FIRST: Final = 0.05
WARN_AT: Final = 0.8
#: Producers that said nothing for longer are not told that the journal is full, seconds.
_TOLD: Final = 60.0


class Committer:
    """Drives the log.

    Attributes:
        news: topics with records that became durable, until a doorbell has rung for them.
    """

    def __init__(self, state: State) -> None:
        """Initialize.

        Args:
            state: the broker's state.
        """
        self._state = state
        self._retry_at = 0.0
        self._failing_since = 0.0
        self._rolls = state.log.rolls
        self._warned = False
        self.news: set[TopicKey] = set()

    def commit(self, now: float) -> list[Ack]:
        """Make durable what was appended, and return the acknowledgements.

        Args:
            now: the time, seconds.
        """
        state = self._state
        if state.failing:
            return state.inlet.committed(now)
        try:
            state.log.sync()
        except LogWriteError as error:
            return self._fail(error, now)
        batches = state.inlet.uncommitted.batches
        acks = state.inlet.committed(now)
        for first, batch in batches:
            state.runs.apply_batch(first, batch)
            state.counters.events += len(batch.payloads)
            self.news.update(batch.topics)
        if batches:
            state.counters.commits += 1
        if state.log.rolls != self._rolls:
            self._rolls = state.log.rolls
            state.save_snapshot()
            self._warn_of_size()
        return acks

    def note(self, event: Event, run: TopicKey, time_ns: int) -> None:
        """Append an event of the broker's own.

        Args:
            event: the event.
            run: the run that it is about; its kind is replaced.
            time_ns: the time, nanoseconds since 1970.
        """
        log = self._state.log
        name = f"broker-{log.journal_id[:16]}"
        topic = run._replace(kind=event.kind)
        origin = Origin(name, run.experiment, run.run_id, run.run, 0, self._state.host)
        seq = log.head + 1
        fields = event.to_wire()
        payload = envelope.encode_fields(origin, event.kind, seq, time_ns, fields)
        wire = {"event": fields, "producer": name, "rank": 0, "host": self._state.host}
        batch = Batch(name, seq, [payload], [topic], [time_ns], {0: wire})
        offset = log.append(ENVELOPE, [payload], [topic])
        self._state.inlet.uncommitted.batches.append((offset, batch))

    def try_again(self, now: float) -> list[Ack]:
        """Look from time to time whether a failed journal can be written again.

        Args:
            now: the time, seconds.

        Returns:
            What to tell the producers when it can.
        """
        state = self._state
        if not state.failing or now < self._retry_at:
            return []
        self._retry_at = now + RETRY_EVERY
        if not state.log.writable():
            return []
        _log.warning("the journal takes events again")
        state.counters.seconds_full += now - self._failing_since
        state.failing, state.inlet.paused = "", False
        return list(self._tell(now))

    def _fail(self, error: LogWriteError, now: float) -> list[Ack]:
        state = self._state
        state.log.rollback()
        state.inlet.rollback()
        state.inlet.paused, state.failing = True, str(error)
        self._failing_since = now
        self._retry_at = now + (RETRY_EVERY if error.full else RETRY_FIRST)
        _log.error("nothing is acknowledged until the journal can be written: %s", error)
        return list(self._tell(now))

    def _tell(self, now: float) -> Iterable[Ack]:
        inlet = self._state.inlet
        for producer in inlet.producers.values():
            if now - producer.seen < _TOLD and not producer.finished:
                yield inlet.ack(producer)

    def _warn_of_size(self) -> None:
        size, limit = self._state.log.size, self._state.config.max_bytes
        if size >= WARN_AT * limit and not self._warned:
            self._warned = True
            _log.warning(
                "the journal has %d of at most %d bytes: raise --max-bytes or set --max-age",
                size,
                limit,
            )
