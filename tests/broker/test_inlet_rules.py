"""The inlet's rules, one by one."""

from __future__ import annotations

import pytest

from drytorch_broker import inlet as inlet_module
from drytorch_broker.inlet import Inlet
from drytorch_broker.memory_log import MemoryLog
from drytorch_broker.verdict import Outcome
from drytorch_schemas import frames
from drytorch_schemas.control import Ack, Bye, Probe, Refused
from drytorch_schemas.packing import unpack
from uplinks import PRODUCER, TOKEN, batch, hello, seqs, welcomed


@pytest.fixture
def log() -> MemoryLog:
    """Return an empty log."""
    return MemoryLog()


@pytest.fixture
def inlet(log: MemoryLog) -> Inlet:
    """Return an inlet that knows one producer."""
    made = Inlet(log)
    welcomed(made)
    return made


def commit(inlet: Inlet, log: MemoryLog, now: float = 1.0) -> list[Ack]:
    """Commit as the broker does."""
    log.sync()
    return inlet.committed(now)


def durable(log: MemoryLog) -> list[int]:
    """Return the durable sequence numbers in journal order."""
    return seqs(log.read(0, log.durable, None, 1 << 30, 10**9).records)


def put(inlet: Inlet, first: int, count: int = 1, now: float = 1.0) -> Outcome:
    """Hand over a batch."""
    return inlet.on_batch(*batch(first, count), now).outcome


def test_batches_in_order_are_appended_and_acknowledged(inlet: Inlet, log: MemoryLog) -> None:
    """Batches in order reach the log, and only a commit acknowledges them."""
    assert [put(inlet, 1, 3), put(inlet, 4, 2)] == [Outcome.APPENDED] * 2
    probe = Probe(producer=PRODUCER, token=TOKEN, last=5, oldest=1)
    assert inlet.on_probe(probe, 1.0) == Ack(producer=PRODUCER, durable=0, highest=5)
    assert commit(inlet, log) == [Ack(producer=PRODUCER, durable=5, highest=5)]
    assert durable(log) == [1, 2, 3, 4, 5]


def test_early_batches_wait_for_their_turn(inlet: Inlet, log: MemoryLog) -> None:
    """A batch that comes too early is held, its gap asked for once, and appended in order."""
    assert put(inlet, 3, 2) is Outcome.HELD
    naks = inlet.tick(1.0)
    assert [(nak.first, nak.last) for nak in naks] == [(1, 2)]
    assert inlet.tick(1.0) == []
    assert put(inlet, 1, 2) is Outcome.APPENDED
    assert inlet.tick(9.0) == []
    assert inlet.held_bytes == 0
    commit(inlet, log)
    assert durable(log) == [1, 2, 3, 4]


def test_only_what_is_missing_is_asked_for(inlet: Inlet) -> None:
    """Gaps are asked for one by one, again only after a while, and ever more rarely."""
    put(inlet, 3)
    put(inlet, 6)
    assert [(nak.first, nak.last) for nak in inlet.tick(1.0)] == [(1, 2), (4, 5)]
    put(inlet, 9, now=1.05)
    assert [(nak.first, nak.last) for nak in inlet.tick(1.05)] == [(7, 8)]
    assert inlet.tick(1.1) == []
    assert len(inlet.tick(1.3)) == 3
    assert inlet.tick(1.5) == []
    assert len(inlet.tick(1.8)) == 3


def test_duplicates_are_acknowledged_again(inlet: Inlet, log: MemoryLog) -> None:
    """A batch that came before is dropped and acknowledged, however late it comes."""
    put(inlet, 1, 3)
    commit(inlet, log)
    assert put(inlet, 1, 3, now=10.0**9) is Outcome.DUPLICATE
    assert commit(inlet, log, 10.0**9) == [Ack(producer=PRODUCER, durable=3, highest=3)]
    assert durable(log) == [1, 2, 3]


def test_batches_may_overlap(inlet: Inlet, log: MemoryLog) -> None:
    """Of a batch that is known in part only the new part is appended."""
    put(inlet, 1, 3)
    put(inlet, 2, 4)
    put(inlet, 8, 3)
    put(inlet, 9, 1)
    put(inlet, 5, 4)
    commit(inlet, log)
    assert durable(log) == list(range(1, 11))


def test_the_first_hello_sets_the_token(inlet: Inlet, log: MemoryLog) -> None:
    """Nobody writes under a producer's id, nor says hello or goodbye for it, without its token."""
    thief = b"another-secret--"
    assert inlet.on_batch(*batch(1, token=thief), 1.0).reason == "token"
    messages = (
        inlet.on_hello(hello(token=thief), 1.0),
        inlet.on_probe(Probe(producer=PRODUCER, token=thief, last=1, oldest=1), 1.0),
        inlet.on_bye(Bye(producer=PRODUCER, token=thief, last=1), 1.0),
    )
    for answer in messages:
        assert isinstance(answer, Refused)
        assert answer.code == "token"
    commit(inlet, log)
    assert durable(log) == []


def test_who_said_no_hello_is_told_so(inlet: Inlet) -> None:
    """Messages of an unknown producer are refused as such, so that it says hello."""
    other = "c" * 32
    assert inlet.on_batch(*batch(1, producer=other), 1.0).reason == "unknown"
    answer = inlet.on_probe(Probe(producer=other, token=TOKEN, last=1, oldest=1), 1.0)
    assert isinstance(answer, Refused)
    assert answer.code == "unknown"


def test_a_newer_protocol_is_refused(inlet: Inlet) -> None:
    """A hello of a newer protocol version, or under a broker's id, is refused."""
    answers = (
        inlet.on_hello(hello(version=99), 1.0),
        inlet.on_hello(hello(producer="broker-x"), 1),
    )
    codes = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert codes == ["version", "bad_request"]


def test_what_is_elsewhere_is_never_asked_for(log: MemoryLog) -> None:
    """An empty broker records what a client trimmed before as elsewhere, and goes on from there."""
    inlet = Inlet(log)
    assert welcomed(inlet, hello(oldest=501, upcoming=600)).durable == 0
    assert put(inlet, 501, 2) is Outcome.APPENDED
    assert inlet.tick(100.0) == []
    assert commit(inlet, log)[-1].durable == 502
    notes = [unpack(payload) for kind, payload, _ in log._records if kind == 2]
    assert {"note": "elsewhere", "producer": PRODUCER, "first": 1, "last": 500} in notes
    assert {"note": "producer", "producer": PRODUCER, "token": TOKEN, "host": "elsewhere"} in notes


def test_held_batches_survive_a_skip(inlet: Inlet, log: MemoryLog) -> None:
    """What is held already is kept when a client loses what lies before and between."""
    put(inlet, 3, 2)
    put(inlet, 8, 2)
    inlet.on_probe(Probe(producer=PRODUCER, token=TOKEN, last=12, oldest=12), 1.0)
    put(inlet, 12)
    commit(inlet, log)
    assert durable(log) == [3, 4, 8, 9, 12]


def test_a_bad_body_is_refused_whole(inlet: Inlet, log: MemoryLog) -> None:
    """A batch with one wrong envelope is refused with a reason, and the next good one is taken."""
    header, body = batch(1, 2)
    wrong = frames.array_of([batch(1)[1][5:], batch(7)[1][5:]])
    for bad in (wrong, body[:-1], body + b"\x00", b"\xdd\xff\xff\xff\xff", b"", b"\xc1"):
        verdict = inlet.on_batch(header, bad, 1.0)
        assert verdict.outcome is Outcome.REFUSED
        assert verdict.reason == "body"
        assert verdict.text
    assert put(inlet, 1, 2) is Outcome.APPENDED
    commit(inlet, log)
    assert durable(log) == [1, 2]


def test_what_is_held_is_bounded(
    inlet: Inlet, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound early batches are dropped, and asked for when their turn comes."""
    monkeypatch.setattr(inlet_module, "MAX_HELD_BYTES", 500)
    outcomes = [put(inlet, first) for first in range(2, 12)]
    assert outcomes.count(Outcome.HELD) > 0
    assert outcomes[-1] is Outcome.DROPPED
    assert inlet.held_bytes <= 500
    put(inlet, 1)
    for nak in inlet.tick(50.0):
        put(inlet, nak.first, nak.last - nak.first + 1, 50.0)
    commit(inlet, log)
    assert durable(log) == list(range(1, 12))


def test_a_rollback_asks_again(inlet: Inlet, log: MemoryLog) -> None:
    """What the log could not take is not acknowledged, and asked for again."""
    put(inlet, 1, 2)
    commit(inlet, log)
    put(inlet, 3, 2)
    log.rollback()
    inlet.rollback()
    assert inlet.committed(1.0) == []
    assert [(nak.first, nak.last) for nak in inlet.tick(1.0)] == [(3, 4)]
    put(inlet, 3, 2)
    commit(inlet, log)
    assert durable(log) == [1, 2, 3, 4]


def test_a_rolled_back_first_batch_keeps_its_token(inlet: Inlet, log: MemoryLog) -> None:
    """The note with a producer's token is written again when the log forgot it."""
    put(inlet, 1)
    log.rollback()
    inlet.rollback()
    put(inlet, 1)
    commit(inlet, log)
    kinds = [kind for kind, _, _ in log._records]
    assert kinds == [2, 1]


def test_a_full_log_drops_and_says_so(inlet: Inlet, log: MemoryLog) -> None:
    """While the log takes nothing batches are dropped, answers say `full`, and later it asks."""
    inlet.paused = True
    assert put(inlet, 1, 3) is Outcome.DROPPED
    answer = inlet.on_probe(Probe(producer=PRODUCER, token=TOKEN, last=3, oldest=1), 1.0)
    assert answer == Ack(producer=PRODUCER, durable=0, highest=3, full=True)
    assert inlet.tick(1.0) == []
    inlet.paused = False
    assert [(nak.first, nak.last) for nak in inlet.tick(2.0)] == [(1, 3)]
    put(inlet, 1, 3)
    commit(inlet, log)
    assert durable(log) == [1, 2, 3]


def test_goodbye_waits_for_the_last_batch(inlet: Inlet, log: MemoryLog) -> None:
    """A Bye is answered when the last event is durable, also when that has to be asked for."""
    put(inlet, 1)
    commit(inlet, log)
    assert inlet.on_bye(Bye(id=7, producer=PRODUCER, token=TOKEN, last=2), 1.0) is None
    assert inlet.tick(1.0) == []
    assert [(nak.first, nak.last) for nak in inlet.tick(1.5)] == [(2, 2)]
    put(inlet, 2)
    assert commit(inlet, log) == [Ack(id=7, producer=PRODUCER, durable=2, highest=2)]
    assert inlet.producers[PRODUCER].finished
    again = inlet.on_bye(Bye(id=8, producer=PRODUCER, token=TOKEN, last=2), 1.0)
    assert again == Ack(id=8, producer=PRODUCER, durable=2, highest=2)


def test_who_never_wrote_is_forgotten(inlet: Inlet, log: MemoryLog) -> None:
    """A producer of which nothing was written is forgotten after an hour, another one never."""
    welcomed(inlet, hello(producer="c" * 32))
    put(inlet, 1)
    commit(inlet, log)
    inlet.forget_unheard(10.0**9)
    assert set(inlet.producers) == {PRODUCER}
