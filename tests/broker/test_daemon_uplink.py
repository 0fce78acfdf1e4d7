"""A real broker and a raw client: batches, acknowledgements, restarts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drytorch_schemas import control, frames
from drytorch_schemas.packing import pack
from raw_broker import Client, Daemon, run
from uplinks import PRODUCER, RUN, TOKEN, event, hello, seqs

Starter = Callable[..., Daemon]


@pytest.fixture(params=["ipc"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Starter:
    """Return a function that starts a broker on one journal, over ipc unless told otherwise."""

    def starter(*options: str) -> Daemon:
        listen = () if request.param == "ipc" else ("--listen", "tcp://127.0.0.1:0")
        return Daemon(tmp_path / "journal", *listen, *options)

    return starter


over_both = pytest.mark.parametrize("start", ["ipc", "tcp"], indirect=True)


@over_both
def test_batches_are_acknowledged_and_served(start: Starter) -> None:
    """A batch is acknowledged once durable, announced by a doorbell, and fetched as it was."""
    with start() as broker, Client(broker.url, b"D:Exp/r/Metric/") as client:
        welcome = client.welcome()
        assert (welcome.durable, bool(welcome.ports)) == (0, broker.url.startswith("tcp"))
        client.publish(1, 100)
        assert client.acknowledged(100).highest == 100
        assert client.sub.poll(5000)
        topic, journal, head = frames.decode_doorbell(client.sub.recv_multipart())
        assert (topic, journal.hex()) == ("Exp/r/Metric/", welcome.journal)
        found = client.fetch()
        assert found.covered_to == found.head == head == 101
        assert seqs(found.records) == list(range(1, 101))
        assert found.records[0] == (1, event(1))


def test_a_gap_is_asked_for_and_a_duplicate_dropped(start: Starter) -> None:
    """The broker asks for exactly what is missing, and takes each event once."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 2)
        client.publish(6, 2)
        nak = client.receive(lambda message: message.type == "nak")
        assert (nak.first, nak.last) == (3, 5)
        client.publish(3, 3)
        client.acknowledged(7)
        client.publish(2, 4)
        client.acknowledged(7)
        assert seqs(client.fetch().records) == list(range(1, 8))
        assert broker.ask("status")["duplicates"] == 1


@over_both
def test_a_duplicate_is_known_after_a_restart(start: Starter) -> None:
    """A broker that comes back says how far it was, and takes no event twice."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 5)
        client.acknowledged(5)
    for end in ("kill", "stop"):
        with start() as broker, Client(broker.url) as client:
            assert client.welcome(oldest=3, upcoming=6).durable == 5
            client.publish(3, 3)
            client.acknowledged(5)
            assert seqs(client.fetch().records) == [1, 2, 3, 4, 5]
            if end == "kill":
                broker.kill()


def test_a_thief_of_an_id_after_a_restart(start: Starter) -> None:
    """The token of a producer is known after kill -9 of the broker."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1)
        client.acknowledged(1)
        broker.kill()
    with start() as broker, Client(broker.url) as client:
        answer = client.call(hello(token=b"another-token---"))
        assert answer.code == "token"


def test_live_events_pass_through(start: Starter) -> None:
    """Live events are published whole under their topic, and are not journaled."""
    with start() as broker, Client(broker.url, b"L:Exp/") as client:
        client.welcome()
        wait_for_subscription(broker, client)
        head = client.fetch().head
        payload = event(0, "BatchProgress", source_name="T", pass_id=1, batches=3)
        header = frames.UplinkHeader(True, PRODUCER, TOKEN, 0, 1)  # noqa: FBT003 - live
        end = time.monotonic() + 5
        while not client.sub.poll(50):
            assert time.monotonic() < end
            client.pub.send_multipart(frames.encode_uplink(header, frames.array_of([payload])))
        assert client.sub.recv_multipart() == [b"L:Exp/r/BatchProgress/", payload]
        assert client.fetch().head == head


def wait_for_subscription(broker: Daemon, client: Client) -> None:
    """Make a round trip, so that subscriptions have likely arrived."""
    client.probe(0)
    assert broker.ask("status")["ready"]


def test_context_of_runs(start: Starter) -> None:
    """The start and registrations of a run can be had as of any offset, of open runs only too."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, kind="StartExperiment")
        client.publish(2, 3)
        client.publish(5, kind="ModelRegistration")
        client.publish(6, kind="StopExperiment")
        client.acknowledged(6)
        filters = [control.Filter(run=RUN)]

        def context(before: int, *, open_only: bool) -> list[int]:
            message = control.FetchContext(
                id=3, before=before, filters=filters, open_only=open_only
            )
            return seqs(client.call(message).records)

        head = client.fetch().head
        assert context(head, open_only=False) == [1, 5]
        assert context(head, open_only=True) == []
        assert context(4, open_only=True) == [1]
        row = broker.ask("runs")[0]
        assert (row["status"], row["events"], row["run_id"]) == ("completed", 6, "r")
        assert broker.ask("runs", "Other*") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_acknowledges_what_arrived(start: Starter, number: int) -> None:
    """A signal ends the broker with 0 within 5 s, and what it was sent before is acknowledged."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        os.kill(broker.process.pid, signal.SIGSTOP)
        client.publish(1, 1000)
        began = time.monotonic()
        broker.process.send_signal(number)
        os.kill(broker.process.pid, signal.SIGCONT)
        code, _ = broker.stop(number)
        assert code == 0
        assert time.monotonic() - began < 5
        client.acknowledged(1000)


@over_both
def test_a_frozen_broker_goes_on(start: Starter) -> None:
    """A broker that was stopped by SIGSTOP takes up where it was."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 5)
        client.acknowledged(5)
        os.kill(broker.process.pid, signal.SIGSTOP)
        client.publish(6, 5)
        assert not client.control.poll(1500)
        os.kill(broker.process.pid, signal.SIGCONT)
        end = time.monotonic() + 10
        while client.probe(10, 6).durable < 10:
            assert time.monotonic() < end
            client.publish(6, 5)
        assert seqs(client.fetch().records) == list(range(1, 11))


BAD = [
    [b""],
    [b"B1"],
    [b"B1", b"", b""],
    [b"B9", b"\x94", b""],
    [b"X1", b"\x90", b"\x90"],
    [b"B1", pack([PRODUCER, TOKEN, 1, 5]), b"\xdd\xff\xff\xff\xff"],
    [b"B1", pack([PRODUCER, TOKEN, 1, 1]), b"\xdd\x00\x00\x00\x01" + b"\x91" * 5000],
    [b"B1", pack([PRODUCER, b"wrong-token-----", 1, 1]), b"\xdd\x00\x00\x00\x01\x80"],
    [b"L1", pack([PRODUCER, TOKEN, 0, 1]), b"\xdd\x00\x00\x00\x01\x80"],
    [b"B1", pack(["nobody", TOKEN, 1, 1]), b"\xdd\x00\x00\x00\x01\x80"],
    [b"B1", b"\xc1" * 2000, b""],
]


def test_bad_frames_hurt_nobody(start: Starter) -> None:
    """Malformed messages on both sockets are counted with reasons, and others are served."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        for parts in BAD:
            client.pub.send_multipart(parts)
        for data in (
            b"",
            b"\xc1",
            b"\x80",
            pack({"type": "nak"}),
            pack({"type": "x"}),
            b"\x91" * 99,
        ):
            client.control.send(data)
        client.control.send_multipart([b"a", b"b", b"c"])
        client.publish(1, 5)
        client.acknowledged(5)
        rejected = broker.ask("status")["rejected"]
        assert {"frame", "body", "token", "unknown", "control"} <= set(rejected)
        assert sum(rejected.values()) >= 15
        log = (broker.journal / "rejects" / "rejects.log").read_text()
        assert "wrong token" in log
        assert TOKEN.hex() not in log


def test_a_vanished_socket_comes_back(tmp_path: Path) -> None:
    """When somebody removes a socket's file the broker binds again."""
    with Daemon(tmp_path / "journal") as broker:
        folder = Path(broker.url.removeprefix("ipc://"))
        (folder / "control.sock").unlink()
        end = time.monotonic() + 10
        while not (folder / "control.sock").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert broker.ask("status")["ready"]


def test_a_held_name_and_its_cursor(start: Starter) -> None:
    """A worker's name is its own while it lives, and its cursor is kept under the name."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 9)
        client.acknowledged(9)
        attach = control.Attach(
            id=2,
            worker="csv",
            instance="one",
            filters=[control.Filter()],
            trackers=["csv"],
            pid=os.getpid(),
            host=os.uname().nodename,
        )
        first = client.call(attach)
        assert (first.cursor, first.kept) == (0, False)
        other = attach.model_copy(update={"instance": "two"})
        assert client.call(other).code == "name_taken"
        commit = control.Commit(id=3, worker="csv", instance="one", journal=first.journal, cursor=7)
        assert client.call(commit).type == "done"
        letter = control.DeadLetter(
            id=4, worker="csv", instance="one", offset=5, tracker="csv", error="no"
        )
        assert client.call(letter).type == "done"
        broker.stop()
    with start() as broker, Client(broker.url) as client:
        again = client.call(attach)
        assert (again.cursor, again.kept, again.journal) == (7, True, first.journal)
        row = broker.ask("workers")[0]
        assert (row["name"], row["lag"], row["dead"]) == ("csv", again.head - 7, 1)
        assert broker.ask("dead", "csv")[0]["error"] == "no"


def test_check_reads_what_a_broker_wrote(start: Starter, tmp_path: Path) -> None:
    """The journal of a living broker can be checked."""
    with start() as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 9)
        client.acknowledged(9)
        checked = run("check", tmp_path / "journal")
        assert checked.returncode == 0, checked.stderr
        assert "10 records" in checked.stdout
