"""A producer's end of the uplink as a state machine: no sockets, no clock, no thread.

Whoever drives it tells it of batches, connections, messages and the time, and sends what it
returns. Messages may be lost, repeated, delayed and reordered; every timer is its own remedy.

Who asks for what: the broker asks (Nak) for what is missing up to the highest number that it saw;
what lies above, this side sends again when the answer to its latest probe says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from drytorch_client.batch_window import BatchWindow, SpoolLike
from drytorch_client.pace import Pace, Timer
from drytorch_client.producer import Producer
from drytorch_schemas.control import Ack, Message, Nak, Probe, Refused, Welcome
from drytorch_schemas.spool_files import Batch

#: Probes without any answer after which the uplink says hello again.
_DEAF_AFTER: Final = 3


class Uplink:
    """Delivers a producer's batches exactly once and in order, over an unreliable channel.

    Attributes:
        next: the sequence number that the next event gets.
        durable: all numbers up to this one are acknowledged.
        journal: id of the broker's journal, as it said last; empty before the first welcome.
        welcomed: whether the broker has answered this connection's hello.
        full: whether the broker cannot write at the moment.
        finished: whether the broker has acknowledged the end.
        refusal: why the broker does not want this producer; None where it does.
    """

    def __init__(
        self,
        producer: Producer,
        spool: SpoolLike,
        *,
        pace: Pace | None = None,
        window_bytes: int = 8 << 20,
        upcoming: int = 1,
        on_new_journal: Callable[[], None] = lambda: None,
        on_lost: Callable[[int, int], None] = lambda first, last: None,  # noqa: ARG005 - names
    ) -> None:
        """Initialize.

        Args:
            producer: who it speaks for.
            spool: where older batches lie.
            pace: timers.
            window_bytes: most bytes of unacknowledged batches in memory.
            upcoming: the sequence number that the next event gets.
            on_new_journal: called when the broker has another journal than before.
            on_lost: called with the first and last number that can never be sent again.
        """
        pace = pace or Pace()
        self.producer: Final = producer
        self.next = upcoming
        self.durable = 0
        self.journal = ""
        self.welcomed = False
        self.full = False
        self.finished = False
        self.refusal: Refused | None = None
        self.window: Final = BatchWindow(spool, window_bytes)
        self._window_bytes: Final = window_bytes
        self._ping_every: Final = pace.ping_every
        self._on_new_journal: Final = on_new_journal
        self._on_lost: Final = on_lost
        self._ids = itertools.count(1)
        self._connected = False
        self._closing = False
        self._cursor = upcoming  # the number to send next
        self._wanted: list[tuple[int, int]] = []
        self._hello: Final = Timer(pace.hello_every, pace.probe_at_most)
        self._probe: Final = Timer(pace.probe_after, pace.probe_at_most)
        self._bye: Final = Timer(pace.probe_after, pace.probe_at_most)
        self._ping_due = 0.0
        self._asked = (0, 0, 0)  # id of the latest probe, what was sent and durable then
        self._unanswered = 0
        self._bye_id = 0

    # ---- what is to be sent

    @property
    def pending(self) -> int:
        """How many events are not acknowledged."""
        return max(self.next - 1 - self.durable, 0)

    @property
    def _oldest(self) -> int:
        return self.window.oldest(self.next, self.durable)

    @property
    def roomy(self) -> bool:
        """Whether another batch may be added."""
        return self.window.unspooled < self._window_bytes

    @property
    def idle(self) -> bool:
        """Whether there is nothing to wait for but the next ping."""
        return self.welcomed and not self.pending and not self._closing

    def add_batch(self, first: int, count: int, body: bytes, *, spooled: bool = True) -> None:
        """Take the next batch.

        Args:
            first: sequence number of its first event: `next`.
            count: its number of events.
            body: the body of the message.
            spooled: whether it lies in the spool.
        """
        self.window.add(Batch(first, count, body), spooled=spooled)
        self.next = first + count

    def next_batch(self) -> Batch | None:
        """Return the batch to send now; it stays the next until `sent` is called."""
        if not self.welcomed or self.full:
            return None
        while self._wanted:
            first, last = self._wanted.pop(0)
            batch, first = self._find(max(first, self.durable + 1))
            if first <= last:
                self._wanted.insert(0, (first, last))
                if batch is not None:
                    return batch
        while self._cursor < self.next:
            batch, self._cursor = self._find(self._cursor)
            if batch is not None:
                return batch
        return None

    def sent(self, batch: Batch, now: float) -> None:
        """Note that a batch was handed to the socket.

        Args:
            batch: what `next_batch` returned.
            now: the time, seconds.
        """
        after = batch.first + batch.count
        if self._wanted and batch.first <= self._wanted[0][0] < after:
            first, last = self._wanted.pop(0)
            if after <= last:
                self._wanted.insert(0, (max(first, after), last))
        if batch.first <= self._cursor < after:
            self._cursor = after
        self._probe.reset(now)

    def _find(self, seq: int) -> tuple[Batch | None, int]:
        """Return the batch that holds a number; None, and the next number, where it is gone."""
        batch = self.window.find(seq)
        if batch is not None:
            return batch, seq
        behind, known = self.window.behind_gap(seq, self.next)
        if not known:
            self._on_lost(seq, behind - 1)
        # the broker is told by the next probe
        self._probe.due = 0.0
        return None, behind

    # ---- connection and messages

    def connected(self, now: float) -> None:
        """Note that the broker listens; hello is said at the next tick.

        Args:
            now: the time, seconds.
        """
        self._connected = True
        self.welcomed = False
        self._hello.reset(now, at_once=True)

    def disconnected(self) -> None:
        """Note that the connection is gone; what was on its way may be lost."""
        self._connected = False
        self.welcomed = False

    def close(self, now: float) -> None:
        """Say bye as soon as everything is acknowledged.

        Args:
            now: the time, seconds.
        """
        self._closing = True
        self._bye.reset(now, at_once=True)

    def on_message(self, message: Message, now: float) -> None:
        """Take a message of the broker.

        Args:
            message: a message for this producer; others are passed over.
            now: the time, seconds.
        """
        self._unanswered = 0
        match message:
            case Welcome():
                self._on_welcome(message, now)
            case Ack():
                self._on_ack(message, now)
            case Nak():
                self._on_nak(message)
            case Refused():
                self._on_refused(message)
            case _:
                pass

    def _on_welcome(self, welcome: Welcome, now: float) -> None:
        if not self._connected:
            return
        before, self.journal = self.journal, welcome.journal
        self.refusal, self.full, self.welcomed = None, False, True
        self._wanted.clear()
        # never more than was given: another broker may have had numbers of a torn spool
        self.durable = min(welcome.durable, self.next - 1)
        self.window.trim(self.durable)
        self._cursor = max(self.durable + 1, self._oldest)
        self._probe.reset(now)
        self._ping_due = now + self._ping_every
        if before and before != self.journal:
            self._on_new_journal()

    def _on_ack(self, ack: Ack, now: float) -> None:
        self.full = ack.full
        if not self.welcomed:
            return
        if ack.durable > self.durable:
            self.durable = min(ack.durable, self.next - 1)
            self.window.trim(self.durable)
            self._cursor = max(self._cursor, self.durable + 1)
            self._probe.reset(now)
        probe_id, sent, durable = self._asked
        if ack.id == probe_id and ack.id and durable == self.durable and ack.highest < sent:
            self._cursor = min(self._cursor, max(ack.highest, self.durable) + 1)
        if self._closing and not self.pending and ack.id and ack.id == self._bye_id:
            self.finished = True

    def _on_nak(self, nak: Nak) -> None:
        last = min(nak.last, self._cursor - 1)
        if self.welcomed and nak.first <= last and (nak.first, last) not in self._wanted:
            self._wanted.append((nak.first, last))

    def _on_refused(self, refused: Refused) -> None:
        self.welcomed = False
        if refused.code != "unknown":
            self.refusal = refused

    # ---- time

    def tick(self, now: float) -> list[Message]:
        """Return the control messages to send now; all may be lost.

        Args:
            now: the time, seconds.
        """
        if not self._connected:
            return []
        if not self.welcomed:
            return self._say_hello(now)
        if self._closing and not self.pending:
            return self._say_bye(now)
        quiet = self.pending and now >= self._probe.due
        if not quiet and now < self._ping_due:
            return []
        if self._unanswered >= _DEAF_AFTER:
            self.welcomed = False
            self._hello.reset(now, at_once=True)
            return self._say_hello(now)
        return [self._ask(now)]

    def _say_hello(self, now: float) -> list[Message]:
        if now < self._hello.due:
            return []
        self._hello.back_off(now)
        return [self.producer.hello(next(self._ids), self._oldest, self.next)]

    def _ask(self, now: float) -> Probe:
        self._probe.back_off(now)
        self._ping_due = now + self._ping_every
        self._unanswered += 1
        self._asked = (next(self._ids), self._cursor - 1, self.durable)
        return self.producer.probe(self._asked[0], self._oldest, self._cursor - 1)

    def _say_bye(self, now: float) -> list[Message]:
        if self.finished or now < self._bye.due:
            return []
        self._bye.back_off(now)
        self._bye_id = next(self._ids)
        return [self.producer.bye(self._bye_id, self.next - 1)]
