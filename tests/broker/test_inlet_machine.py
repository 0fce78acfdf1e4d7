"""The inlet under a channel that loses, repeats, delays and reorders, and a log that fails."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drytorch_broker.inlet import Inlet
from drytorch_broker.memory_log import MemoryLog
from drytorch_broker.producers import Producer
from drytorch_broker.verdict import Outcome
from drytorch_schemas.control import Ack, Nak, Probe, Refused, Welcome
from uplinks import PRODUCER, TOKEN, batch, hello, seqs


class Uplink(RuleBasedStateMachine):
    """One producer, one inlet, and a channel between them that does what it likes."""

    def __init__(self) -> None:
        """Start with nothing sent."""
        super().__init__()
        self.log = MemoryLog()
        self.inlet = Inlet(self.log)
        self.now = 0.0
        self.next = 1
        self.acked = 0
        self.flying: list[tuple[int, int]] = []

    @initialize()
    def say_hello(self) -> None:
        """Say hello, first of all and after each restart."""
        answer = self.inlet.on_hello(hello(self.acked + 1, self.next), self.now)
        assert isinstance(answer, Welcome)
        assert answer.durable >= self.acked
        self.acked = answer.durable

    @rule(count=st.integers(1, 4))
    def publish(self, count: int) -> None:
        """Give numbers to a batch and send it off."""
        self.flying.append((self.next, count))
        self.next += count

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), repeat=st.booleans())
    def deliver(self, data: st.DataObject, *, repeat: bool) -> None:
        """Let any batch that is on its way arrive, perhaps not for the last time."""
        place = data.draw(st.integers(0, len(self.flying) - 1))
        first, count = self.flying[place]
        if not repeat:
            del self.flying[place]
        verdict = self.inlet.on_batch(*batch(first, count), self.now)
        assert verdict.outcome is not Outcome.REFUSED

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """Lose a batch."""
        del self.flying[data.draw(st.integers(0, len(self.flying) - 1))]

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 5.0]), lost=st.booleans())
    def ask_again(self, seconds: float, *, lost: bool) -> None:
        """Let time pass; what the inlet asks for is sent again, unless the request is lost."""
        self.now += seconds
        naks = self.inlet.tick(self.now)
        if not lost:
            self.resend(naks)

    def resend(self, naks: list[Nak]) -> None:
        """Send what was asked for, all of which the producer must still hold."""
        for nak in naks:
            assert self.acked < nak.first <= nak.last < self.next
            self.flying.append((nak.first, nak.last - nak.first + 1))

    @rule(lost=st.booleans())
    def commit(self, *, lost: bool) -> None:
        """Commit; acknowledgements may be lost."""
        self.log.sync()
        for ack in self.inlet.committed(self.now):
            self.take(ack, lost=lost)

    def take(self, ack: Ack, *, lost: bool) -> None:
        """Trim what is acknowledged."""
        assert self.acked <= ack.durable <= ack.highest < self.next
        if not lost:
            self.acked = ack.durable

    @rule()
    def fail(self) -> None:
        """Let a commit fail."""
        self.log.rollback()
        self.inlet.rollback()

    @rule()
    def restart(self) -> None:
        """Kill the broker: what was not durable is gone, producers are known by the journal."""
        self.log.rollback()
        known = self.inlet.producers[PRODUCER]
        self.inlet = Inlet(self.log)
        if known.durable:
            self.inlet.producers[PRODUCER] = Producer(
                PRODUCER,
                TOKEN,
                appended=known.durable,
                durable=known.durable,
                highest=known.durable,
                noted=True,
            )
        self.say_hello()

    @rule()
    def probe(self) -> None:
        """Ask how far the broker is, and send again what never arrived."""
        message = Probe(producer=PRODUCER, token=TOKEN, last=self.next - 1, oldest=self.acked + 1)
        answer = self.inlet.on_probe(message, self.now)
        assert not isinstance(answer, Refused)
        self.take(answer, lost=False)
        if answer.highest + 1 < self.next:
            self.flying.append((answer.highest + 1, self.next - answer.highest - 1))

    @invariant()
    def exactly_once_in_order(self) -> None:
        """What is durable is a beginning of what was published, each event once."""
        found = seqs(self.log.read(0, self.log.durable, None, 1 << 30, 10**9).records)
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= self.acked

    def teardown(self) -> None:
        """Let the channel become good: everything arrives."""
        for _ in range(10):
            self.now += 5.0
            self.probe()
            self.resend(self.inlet.tick(self.now))
            for first, count in self.flying:
                self.inlet.on_batch(*batch(first, count), self.now)
            self.flying.clear()
            self.log.sync()
            for ack in self.inlet.committed(self.now):
                self.take(ack, lost=False)
        assert self.acked == self.next - 1
        assert self.inlet.held_bytes == 0
        self.exactly_once_in_order()


TestUplink = Uplink.TestCase
TestUplink.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
