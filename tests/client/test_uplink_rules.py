"""Single rules of the producer's end of the uplink."""

from __future__ import annotations

import itertools
from pathlib import Path

from drytorch_client.producer import Producer
from drytorch_client.spool import Spool
from drytorch_client.uplink import Uplink
from drytorch_schemas.control import Ack, Bye, Hello, Message, Nak, Probe, Refused, Welcome
from drytorch_schemas.frames import array_of
from drytorch_schemas.spool_files import SpoolMeta
from uplinks import PRODUCER, TOKEN, event

JOURNAL = "1" * 32


def spool_at(base: Path, segment_bytes: int = 1) -> Spool:
    """Return an open spool, by default with one batch in a segment."""
    meta = SpoolMeta(producer=PRODUCER, token=TOKEN, host="host", pid=1)
    spool = Spool(base, meta, max_bytes=1 << 30, segment_bytes=segment_bytes)
    spool.open()
    return spool


class Case:
    """An uplink over a real spool, and what it reported."""

    def __init__(self, folder: Path, *, window: int = 1) -> None:
        self.spool = spool_at(folder / "spool")
        self.lost: list[tuple[int, int]] = []
        self.new_journals = 0
        self.uplink = Uplink(
            Producer(PRODUCER, TOKEN, "host", 1),
            self.spool,
            window_bytes=window,
            on_lost=lambda first, last: self.lost.append((first, last)),
            on_new_journal=self.count,
        )

    def count(self) -> None:
        """Count the callback."""
        self.new_journals += 1

    def add(self, count: int = 1) -> None:
        """Add a batch."""
        first = self.uplink.next
        body = array_of([event(first + number) for number in range(count)])
        self.spool.append(first, count, body)
        self.uplink.add_batch(first, count, body)

    def welcome(self, durable: int = 0, journal: str = JOURNAL, now: float = 0.0) -> Hello:
        """Connect, take the hello and answer it."""
        self.uplink.connected(now)
        (hello,) = self.uplink.tick(now)
        assert isinstance(hello, Hello)
        answer = Welcome(
            journal=journal, producer=PRODUCER, durable=durable, max_event_bytes=1 << 20
        )
        self.uplink.on_message(answer, now)
        return hello

    def send(self, now: float = 0.0) -> list[int]:
        """Send everything, and return the first numbers of the batches."""
        sent = []
        while (batch := self.uplink.next_batch()) is not None:
            self.uplink.sent(batch, now)
            sent.append(batch.first)
        return sent

    def ack(self, durable: int, highest: int = 0, now: float = 0.0, **fields: object) -> None:
        """Acknowledge."""
        values = {"producer": PRODUCER, "durable": durable, "highest": highest or durable} | fields
        self.uplink.on_message(Ack.model_validate(values), now)

    def ask(self, now: float) -> Message:
        """Return the one message that is due."""
        (message,) = self.uplink.tick(now)
        return message


def test_nothing_is_sent_before_the_welcome(tmp_path: Path) -> None:
    """A batch waits until the broker has answered the hello, since it would refuse it."""
    case = Case(tmp_path)
    case.add()
    assert case.send() == []
    case.uplink.connected(0.0)
    assert case.send() == []
    case.welcome()
    assert case.send() == [1]


def test_hello_states_what_is_held(tmp_path: Path) -> None:
    """The hello names the oldest number that is still held, and the next one."""
    case = Case(tmp_path)
    hello = case.welcome()
    assert (hello.oldest, hello.next) == (1, 1)
    for _ in range(4):
        case.add(2)
    case.send()
    case.ack(6)
    hello = case.welcome(durable=6)
    # the last acknowledged segment is kept until the next one is acknowledged
    assert (hello.oldest, hello.next) == (5, 9)


def test_reconnect_resends_from_what_is_durable(tmp_path: Path) -> None:
    """After a reconnect everything behind the durable number is sent again, and nothing else."""
    case = Case(tmp_path)
    case.welcome()
    for _ in range(5):
        case.add()
    assert case.send() == [1, 2, 3, 4, 5]
    case.uplink.disconnected()
    case.welcome(durable=3)
    assert case.send() == [4, 5]


def test_nak_resends_just_what_is_missing(tmp_path: Path) -> None:
    """A gap is answered with the batches that fill it, not with all that follows."""
    case = Case(tmp_path)
    case.welcome()
    for _ in range(5):
        case.add(2)
    case.send()
    case.uplink.on_message(Nak(producer=PRODUCER, first=4, last=5), 0.0)
    assert case.send() == [3, 5]
    assert case.send() == []


def test_tail_loss_is_found_by_the_probe(tmp_path: Path) -> None:
    """When the last batch vanished, the answer to the probe lets it be sent again (B2)."""
    case = Case(tmp_path)
    case.welcome()
    case.add()
    case.add()
    case.send()
    assert case.uplink.tick(0.05) == []
    probe = case.ask(0.15)
    assert isinstance(probe, Probe)
    case.ack(1, id=probe.id + 1)
    assert case.send() == []
    case.ask(0.6)
    probe = case.ask(1.5)
    case.ack(1, id=probe.id)
    assert case.send() == [2]


def test_probes_become_rarer(tmp_path: Path) -> None:
    """The pause between probes doubles up to its limit while nothing is acknowledged."""
    case = Case(tmp_path)
    case.welcome()
    case.add()
    case.send()
    times = []
    for tick in range(1, 1000):
        now = tick / 100
        for message in case.uplink.tick(now):
            times.append(now)
            case.ack(0, 1, now=now, id=message.id)
    pauses = [round(after - before, 1) for before, after in itertools.pairwise(times)]
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert set(pauses[5:]) == {2.0}


def test_deaf_broker_is_greeted_again(tmp_path: Path) -> None:
    """When nobody answers the probes, hello is said again."""
    case = Case(tmp_path)
    case.welcome()
    case.add()
    case.send()
    messages = [message for tick in range(400) for message in case.uplink.tick(tick / 50)]
    assert [type(each) for each in messages[:4]] == [Probe, Probe, Probe, Hello]


def test_full_broker_is_given_nothing(tmp_path: Path) -> None:
    """While the broker says that it cannot write, nothing is sent; then it goes on."""
    case = Case(tmp_path)
    case.welcome()
    case.add()
    case.ack(0, 0, full=True)
    assert case.send() == []
    case.ack(0, 0)
    assert case.send() == [1]


def test_new_journal_is_told_and_given_what_is_held(tmp_path: Path) -> None:
    """A broker with another, empty journal is told from the hello on what it will not get."""
    case = Case(tmp_path)
    case.welcome()
    for _ in range(4):
        case.add()
    case.send()
    case.ack(3)
    hello = case.welcome(durable=0, journal="2" * 32)
    assert hello.oldest == 3
    assert case.new_journals == 1
    assert case.send() == [3, 4]
    case.welcome(durable=4, journal="2" * 32)
    assert case.new_journals == 1


def test_lost_spool_is_declared_and_passed(tmp_path: Path) -> None:
    """Numbers whose file vanished are reported once, and the broker learns that they never come."""
    case = Case(tmp_path)
    for _ in range(5):
        case.add(2)
    segments = sorted(case.spool.folder.glob("*.spool"))
    for path in segments[1:3]:
        path.unlink()
    case.welcome()
    assert case.send() == [1, 7, 9]
    assert case.lost == [(3, 4), (5, 6)]
    case.ack(2, 10)
    probe = case.ask(1.0)
    assert isinstance(probe, Probe)
    assert probe.oldest == 7
    case.uplink.on_message(Nak(producer=PRODUCER, first=3, last=6), 1.0)
    assert case.send() == []
    assert case.lost == [(3, 4), (5, 6)]
    case.ack(10)
    assert case.uplink.pending == 0


def test_window_bounds_memory(tmp_path: Path) -> None:
    """What the spool has is dropped from memory above the window, and read back to be sent."""
    case = Case(tmp_path, window=1000)
    for _ in range(50):
        case.add(3)
    assert case.uplink.window.size <= 1000
    case.welcome()
    assert case.send() == list(range(1, 150, 3))
    assert case.lost == []


def test_unspooled_batches_stay_in_memory(tmp_path: Path) -> None:
    """Without a spool nothing is dropped from memory, and no room is left above the window."""
    case = Case(tmp_path, window=1000)
    while case.uplink.roomy:
        case.uplink.add_batch(
            case.uplink.next, 1, array_of([event(case.uplink.next)]), spooled=False
        )
    assert case.uplink.window.size >= 1000
    held = case.uplink.next - 1
    case.welcome()
    assert case.send() == list(range(1, held + 1))
    case.ack(held)
    assert case.uplink.roomy
    assert case.uplink.window.size == 0


def test_bye_waits_for_the_last_acknowledgement(tmp_path: Path) -> None:
    """Bye is said when all is acknowledged, repeated until it is answered, and ends it."""
    case = Case(tmp_path)
    case.welcome()
    case.add()
    case.send()
    case.uplink.close(0.0)
    assert not any(isinstance(each, Bye) for each in case.uplink.tick(0.0))
    case.ack(1)
    assert isinstance(case.ask(0.0), Bye)
    assert case.uplink.tick(0.01) == []
    bye = case.ask(0.5)
    assert isinstance(bye, Bye)
    assert bye.last == 1
    assert not case.uplink.finished
    case.ack(1, id=bye.id)
    assert case.uplink.finished
    assert case.uplink.tick(9.0) == []


def test_unknown_producer_says_hello_again(tmp_path: Path) -> None:
    """A broker that does not know the producer is greeted again; other refusals are kept."""
    case = Case(tmp_path)
    case.welcome()
    case.uplink.on_message(Refused(code="unknown", text="who?", producer=PRODUCER), 1.0)
    assert case.uplink.refusal is None
    assert isinstance(case.ask(1.0), Hello)
    case.uplink.on_message(Refused(code="token", text="no", producer=PRODUCER), 1.0)
    assert case.uplink.refusal is not None
    case.welcome(now=2.0)
    assert case.uplink.refusal is None


def test_ping_keeps_an_idle_producer_alive(tmp_path: Path) -> None:
    """A producer with nothing to send gives a sign of life every ten seconds."""
    case = Case(tmp_path)
    case.welcome()
    assert case.uplink.idle
    times = []
    for now in range(1, 41):
        for message in case.uplink.tick(now):
            times.append(now)
            case.ack(0, id=message.id)
    assert times == [10, 20, 30, 40]
