"""Producer and broker joined by a channel that loses, repeats, delays and reorders."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from drytorch_broker.inlet import Inlet
from drytorch_broker.memory_log import MemoryLog
from drytorch_client.producer import Producer
from drytorch_client.uplink import Uplink
from drytorch_schemas import control
from drytorch_schemas.frames import UplinkHeader, array_of
from drytorch_schemas.spool_files import Batch
from uplinks import PRODUCER, TOKEN, event, seqs


@dataclass
class MemorySpool:
    """A spool that survives its producer and forgets nothing but what is trimmed or lost."""

    batches: list[Batch] = field(default_factory=list)

    @property
    def oldest(self) -> int | None:
        """The oldest number in it."""
        return self.batches[0].first if self.batches else None

    def read(self, seq: int) -> list[Batch]:
        """Return at most three batches from a number on."""
        holding = [n for n, b in enumerate(self.batches) if b.first <= seq < b.first + b.count]
        return self.batches[holding[0] : holding[0] + 3] if holding else []

    def trim(self, durable: int) -> None:
        """Keep the last acknowledged batch, as a spool keeps its last segment."""
        while (
            len(self.batches) > 1 and self.batches[1].first + self.batches[1].count - 1 <= durable
        ):
            self.batches.pop(0)

    def lose(self, seq: int) -> int | None:
        """Tell what follows a number that is gone."""
        return next((b.first for b in self.batches if b.first > seq), None)


class Channel:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.waiting: list[object] = []

    def put(self, message: object, fate: random.Random) -> None:
        """Take a message, lose it, or repeat it."""
        self.waiting.extend([message] * fate.choice((0, 1, 1, 1, 2)))

    def get(self, fate: random.Random) -> object | None:
        """Deliver a message, most often the oldest."""
        if not self.waiting:
            return None
        place = 0 if fate.random() < 0.6 else fate.randrange(len(self.waiting))
        return self.waiting.pop(place)


class UplinkMachine(RuleBasedStateMachine):
    """Emits, loses, kills and restarts, and checks order and completeness after each step."""

    @initialize(seed=st.integers(0, 2**32), window=st.sampled_from([1, 600, 1 << 20]))
    def begin(self, seed: int, window: int) -> None:
        """Start a producer and a broker."""
        self.fate = random.Random(seed)
        self.reconnects_at_end = seed % 4 == 0
        self.now = 0.0
        self.window = window
        self.log = MemoryLog()
        self.inlet = Inlet(self.log)
        self.spool = MemorySpool()
        self.lost: list[tuple[int, int]] = []
        self.new_journals = 0
        self.uplink = self.make_uplink(1)
        self.up, self.down = Channel(), Channel()

    def make_uplink(self, upcoming: int, *, adopted: bool = False) -> Uplink:
        """Return a producer's end; an adopting one goes on where a dead one stopped."""
        uplink = Uplink(
            Producer(PRODUCER, TOKEN, "host", 1, adopted=adopted),
            self.spool,
            window_bytes=self.window,
            upcoming=upcoming,
            on_lost=lambda first, last: self.lost.append((first, last)),
            on_new_journal=self.count_new_journal,
        )
        uplink.connected(self.now)
        return uplink

    def count_new_journal(self) -> None:
        """Count the callback."""
        self.new_journals += 1

    def emit(self, count: int, spooled: bool) -> None:  # noqa: FBT001 - drawn
        """Add a batch; without a spool it must survive in memory."""
        first = self.uplink.next
        body = array_of([event(first + n) for n in range(count)])
        in_order = not self.spool.batches or all(self.uplink.window._in_spool)
        if spooled and in_order:
            self.spool.batches.append(Batch(first, count, body))
        self.uplink.add_batch(first, count, body, spooled=spooled and in_order)

    @rule(rounds=st.integers(1, 10), pause=st.sampled_from([0.005, 0.05, 0.3]))
    def work(self, rounds: int, pause: float) -> None:
        """Let all of it work for a while, over the bad channel."""
        for _ in range(rounds):
            self.now += pause
            if self.fate.random() < 0.5:
                self.emit(self.fate.randrange(1, 5), self.fate.random() < 0.8)
            self.send()
            self.receive(6)
            if self.fate.random() < 0.8:
                self.commit()
            self.answer(6)

    def send(self) -> None:
        """Let the producer send."""
        for message in self.uplink.tick(self.now):
            self.up.put(message, self.fate)
        for _ in range(self.fate.randrange(1, 6)):
            batch = self.uplink.next_batch()
            if batch is None:
                break
            self.up.put(batch, self.fate)
            self.uplink.sent(batch, self.now)

    def receive(self, count: int) -> None:
        """Let the broker take some messages."""
        for _ in range(count):
            answer = self.to_broker(self.up.get(self.fate))
            if answer is not None:
                self.down.put(answer, self.fate)
        for nak in self.inlet.tick(self.now):
            self.down.put(nak, self.fate)

    def to_broker(self, message: object) -> control.Message | None:
        """Hand one message to the broker and return its answer."""
        answer: control.Message | None = None
        if isinstance(message, Batch):
            header = UplinkHeader(False, PRODUCER, TOKEN, message.first, message.count)  # noqa: FBT003 - durable
            self.inlet.on_batch(header, message.body, self.now)
        elif isinstance(message, control.Hello):
            answer = self.inlet.on_hello(message, self.now)
        elif isinstance(message, control.Probe):
            answer = self.inlet.on_probe(message, self.now)
        elif isinstance(message, control.Bye):
            answer = self.inlet.on_bye(message, self.now)
        return answer

    def commit(self) -> None:
        """Make durable what the broker has, and acknowledge it."""
        self.log.sync()
        for ack in self.inlet.committed(self.now):
            self.down.put(ack, self.fate)

    @rule()
    def fail_commit(self) -> None:
        """Let the disk fail: nothing since the last commit is kept."""
        self.log.rollback()
        self.inlet.rollback()

    def answer(self, count: int) -> None:
        """Let the producer take some messages."""
        for _ in range(count):
            message = self.down.get(self.fate)
            if isinstance(message, control.Message):
                self.uplink.on_message(message, self.now)

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule()
    def reconnect(self) -> None:
        """Cut the connection: what is on its way is gone."""
        self.up, self.down = Channel(), Channel()
        self.uplink.disconnected()
        self.uplink.connected(self.now)

    @rule()
    def restart_broker(self) -> None:
        """Kill the broker: it keeps its log, and remembers from there how far the producer was."""
        self.log.rollback()
        before = self.inlet.producers.get(PRODUCER)
        self.inlet = Inlet(self.log)
        if before is not None and before.durable:
            # as recovery does from the journal's notes
            after = self.inlet.producers[PRODUCER] = type(before)(PRODUCER)
            after.token, after.noted = before.token, True
            after.appended = after.durable = after.highest = before.durable
        self.reconnect()

    @rule()
    def kill_producer(self) -> None:
        """Kill the producer when its spool has all that is not acknowledged: somebody adopts it."""
        if not all(self.uplink.window._in_spool):
            return  # what was only in memory would be lost, and numbers given twice
        self.uplink = self.make_uplink(self.uplink.next, adopted=True)
        self.reconnect()

    @invariant()
    def in_order_and_once(self) -> None:
        """Check that the journal holds a gapless beginning of what was emitted."""
        if not hasattr(self, "log"):
            return
        records = self.log.read(0, self.log.durable, None, 1 << 30, 1 << 30).records
        found = seqs(records)
        assert found == list(range(1, len(found) + 1))
        assert not self.lost
        assert not self.new_journals
        assert self.uplink.durable <= len(found)

    def teardown(self) -> None:
        """Let the channel be good for a while: then everything must have arrived."""
        if not hasattr(self, "log"):
            return
        if self.reconnects_at_end:
            self.reconnect()
        else:  # the uplink's own remedies must do
            self.up, self.down = Channel(), Channel()
        for _ in range(400):
            self.now += 0.3
            self.send_well()
            if not self.uplink.pending and self.uplink.welcomed:
                break
        assert self.uplink.welcomed
        assert not self.uplink.pending
        self.in_order_and_once()
        found = seqs(self.log.read(0, self.log.durable, None, 1 << 30, 1 << 30).records)
        assert len(found) == self.uplink.next - 1
        self.uplink.close(self.now)
        for _ in range(10):
            self.now += 3
            self.send_well()
        assert self.uplink.finished

    def send_well(self) -> None:
        """Exchange everything once, in order and without loss."""
        for message in self.uplink.tick(self.now):
            answer = self.to_broker(message)
            if answer is not None:
                self.uplink.on_message(answer, self.now)
        while (batch := self.uplink.next_batch()) is not None:
            self.uplink.sent(batch, self.now)
            self.to_broker(batch)
        self.log.sync()
        for message in [*self.inlet.tick(self.now), *self.inlet.committed(self.now)]:
            self.uplink.on_message(message, self.now)


TestUplinkMachine = pytest.mark.timeout(300)(UplinkMachine.TestCase)
TestUplinkMachine.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
