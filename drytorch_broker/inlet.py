"""The broker's end of the uplink as a state machine: no sockets, no clock, no files of its own.

It takes messages and the time, appends to a log what is next in each producer's order, and says
what to answer. Whoever drives it makes the log durable and then calls `committed`, or `rollback`
when the log could not.

Who asks for what: the broker asks (Nak) for what is missing up to `highest`; what lies above, the
producer sends again by itself, when an Ack tells it that `highest` is less than what it sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drytorch_broker import notes, refusals
from drytorch_broker.batch import Batch, BatchReader
from drytorch_broker.errors import BatchError
from drytorch_broker.gaps import Gaps
from drytorch_broker.log import Log
from drytorch_broker.producers import Producer
from drytorch_broker.verdict import (
    APPENDED,
    DROPPED,
    DUPLICATE,
    HELD,
    Outcome,
    Uncommitted,
    Verdict,
)
from drytorch_schemas.control import Ack, Bye, Hello, Nak, Probe, Refused, Welcome
from drytorch_schemas.frames import UplinkHeader
from drytorch_schemas.limits import MAX_EVENT_BYTES
from drytorch_schemas.records import ENVELOPE, NOTE

#: Bytes held for one producer, and for all, while an earlier batch is missing. What comes above is
#: dropped and asked for again.
MAX_HELD_BYTES: Final = 8 << 20
MAX_HELD_TOTAL: Final = 64 << 20
FORGET_AFTER: Final = 3600.0


class Inlet:
    """Puts batches into each producer's order, without gaps and duplicates.

    Attributes:
        producers: all producers that are known, by id. They are never forgotten, so that a
            duplicate is recognised however late it comes.
        paused: whether the log cannot take anything at the moment; what arrives is dropped, and
            asked for later.
        uncommitted: what waits for the log.
    """

    def __init__(self, log: Log, *, reader: BatchReader | None = None) -> None:
        """Initialize.

        Args:
            log: where batches go.
            reader: takes bodies apart.
        """
        self._log = log
        self._reader = reader or BatchReader()
        self.producers: dict[str, Producer] = {}
        self.paused = False
        self.uncommitted = Uncommitted()
        self.held_bytes = 0
        self._gaps = Gaps()

    # ---- messages

    def on_hello(
        self, hello: Hello, now: float, ports: Mapping[str, int] | None = None
    ) -> Welcome | Refused:
        """Take in a producer, and say how far its records are durable here.

        Args:
            hello: the message.
            now: the time, seconds.
            ports: TCP ports to tell it.
        """
        producer = self.producers.get(hello.producer)
        if (refused := refusals.of_hello(hello, producer)) is not None:
            return refused
        if producer is None:
            producer = self.producers[hello.producer] = Producer(hello.producer)
        producer.token = hello.token
        producer.host, producer.pid, producer.spool = hello.host, hello.pid, hello.spool
        producer.seen, producer.heard, producer.adopted = now, True, hello.adopted
        producer.closing, producer.finished = None, False
        self._skip(producer, hello.oldest, now)
        return Welcome(
            id=hello.id,
            journal=self._log.journal_id,
            producer=producer.id,
            durable=producer.durable,
            ports=dict(ports or {}),
            max_event_bytes=MAX_EVENT_BYTES,
        )

    def on_batch(self, header: UplinkHeader, body: bytes, now: float) -> Verdict:
        """Take a batch: append it, hold it until its turn, or drop it.

        Args:
            header: what the message says of itself.
            body: array of envelopes.
            now: the time, seconds.
        """
        producer = self.producers.get(header.producer)
        if producer is None or not producer.token:
            return Verdict(Outcome.REFUSED, "unknown", "no hello came before")
        if not refusals.same_token(producer, header.token):
            return Verdict(Outcome.REFUSED, "token", "wrong token")
        producer.seen = now
        last = header.first + header.count - 1
        if last <= producer.appended:
            self.uncommitted.touched[producer.id] = producer
            return DUPLICATE
        if self.paused:
            self._gaps.note(producer, last)
            return DROPPED
        return self._take(producer, header, body, now)

    def _take(self, producer: Producer, header: UplinkHeader, body: bytes, now: float) -> Verdict:
        if header.first < 1:
            return Verdict(Outcome.REFUSED, "body", "durable envelopes are numbered from 1")
        try:
            batch = self._reader.read(header, body)
        except BatchError as error:
            return Verdict(Outcome.REFUSED, "body", str(error))
        if header.first > producer.appended + 1:
            return self._hold(producer, batch)
        self._append(producer, batch.after(producer.appended))
        if producer.held or producer.highest > producer.appended:
            self._drain(producer, now)
        return APPENDED

    def on_probe(self, probe: Probe, now: float) -> Ack | Refused:
        """Say how far a producer's records are.

        Args:
            probe: the message.
            now: the time, seconds.
        """
        producer = self._known(probe)
        if isinstance(producer, Refused):
            return producer
        producer.seen = now
        self._skip(producer, probe.oldest, now)
        return self.ack(producer, probe.id)

    def on_bye(self, bye: Bye, now: float) -> Ack | Refused | None:
        """Let a producer go once all that it sent is durable.

        Args:
            bye: the message.
            now: the time, seconds.

        Returns:
            The answer, or None while records are missing: `committed` gives it later.
        """
        producer = self._known(bye)
        if isinstance(producer, Refused):
            return producer
        producer.seen = now
        producer.closing = (bye.last, bye.id)
        if producer.durable >= bye.last:
            return self._finish(producer)
        self._gaps.note(producer, bye.last)
        if producer.highest > producer.appended:
            # What is on its way on the other socket gets the usual delay before it is asked for.
            producer.progressed(now)
            producer.naked = producer.highest
        return None

    def tick(self, now: float) -> list[Nak]:
        """Return what to ask for now: new gaps at once, old ones again after a while.

        Args:
            now: the time, seconds.
        """
        return [] if self.paused else self._gaps.naks(now)

    @property
    def waits(self) -> bool:
        """Whether anything is missing that `tick` may have to ask for."""
        return bool(self._gaps)

    def forget_unheard(self, now: float) -> None:
        """Forget producers that said hello long ago and of which nothing was ever written.

        Args:
            now: the time, seconds.
        """
        for producer in list(self.producers.values()):
            if not (producer.appended or producer.held) and now - producer.seen > FORGET_AFTER:
                del self.producers[producer.id]
                self._gaps.forget(producer)

    # ---- the log

    def committed(self, now: float) -> list[Ack]:
        """Note that everything appended is durable, and return the acknowledgements.

        Args:
            now: the time, seconds.
        """
        done, self.uncommitted = self.uncommitted, Uncommitted()
        acks = []
        for producer in done.touched.values():
            if producer.appended > producer.durable:
                producer.durable = producer.appended
                producer.progressed(now)
            if producer.closing and producer.durable >= producer.closing[0]:
                acks.append(self._finish(producer))
            else:
                acks.append(self.ack(producer))
        return acks

    def rollback(self) -> None:
        """Forget what was appended but did not become durable; it is asked for again."""
        undone, self.uncommitted = self.uncommitted, Uncommitted()
        for producer in undone.noted:
            producer.noted = False
        for producer in undone.touched.values():
            producer.appended = producer.durable
            producer.nak_due = 0.0
            self._gaps.note(producer, producer.highest)

    # ---- inside

    def _known(self, message: Probe | Bye) -> Producer | Refused:
        producer = self.producers.get(message.producer)
        if producer is None or not producer.token:
            return refusals.unknown(message.id, message.producer)
        if not refusals.same_token(producer, message.token):
            return refusals.wrong_token(message.id, message.producer)
        return producer

    def ack(self, producer: Producer, message_id: int = 0) -> Ack:
        """Return how far a producer's records are.

        Args:
            producer: the producer.
            message_id: id of the message that this answers; 0 for none.
        """
        return Ack(
            id=message_id,
            producer=producer.id,
            durable=producer.durable,
            highest=max(producer.highest, producer.durable),
            full=self.paused,
        )

    def _finish(self, producer: Producer) -> Ack:
        producer.finished = True
        return self.ack(producer, producer.closing[1] if producer.closing else 0)

    def _hold(self, producer: Producer, batch: Batch) -> Verdict:
        size = batch.size
        self._gaps.note(producer, batch.last)
        if producer.held_bytes + size > MAX_HELD_BYTES or self.held_bytes + size > MAX_HELD_TOTAL:
            return DROPPED
        self.held_bytes += producer.hold(batch)
        return HELD

    def _append(self, producer: Producer, batch: Batch) -> None:
        if not producer.noted:
            self._log.append(NOTE, [notes.of_producer(producer)], [None])
            producer.noted = True
            self.uncommitted.noted.append(producer)
        offset = self._log.append(ENVELOPE, batch.payloads, batch.topics)
        self.uncommitted.batches.append((offset, batch))
        self._advance(producer, batch.last)

    def _advance(self, producer: Producer, to: int) -> None:
        producer.appended = to
        producer.highest = max(producer.highest, to)
        self.uncommitted.touched[producer.id] = producer

    def _drain(self, producer: Producer, now: float) -> None:
        before = producer.held_bytes
        while (batch := producer.release()) is not None:
            self._append(producer, batch)
        self.held_bytes += producer.held_bytes - before
        producer.progressed(now)

    def _skip(self, producer: Producer, oldest: int, now: float) -> None:
        """Go on at the oldest number that a producer holds: older ones are elsewhere."""
        if self.paused:
            return
        while producer.appended + 1 < oldest:
            early = min((first for first in producer.held if first < oldest), default=oldest)
            if early > producer.appended + 1:
                note = notes.of_elsewhere(producer.id, producer.appended + 1, early - 1)
                self._log.append(NOTE, [note], [None])
                self._advance(producer, early - 1)
            self._drain(producer, now)
