"""Faults of the line between client and broker (B): each event arrives once and in order."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from chaos import proxy
from chaos.rounds import free_ports
from drytorch_client import wire
from drytorch_client.config import ClientConfig
from drytorch_client.sender import Sender
from drytorch_schemas.control import Ack, Message, Nak
from drytorch_schemas.events import MetricEvent
from drytorch_schemas.journal_reader import read_header, segments
from drytorch_schemas.packing import unpack
from emitting import RUN, envelopes, metric, numbers
from hosts import Host, eventually
from journaled import assert_complete
from raw_broker import Client, Daemon
from relay import Relay

Open = Callable[..., Sender]
PROXY = Path(proxy.__file__)
IMPORTS = """
import os, sys
def say(*values):
    print(*values, flush=True)
"""
WEEK_BEFORE = -7 * 86_400


@pytest.fixture
def open_sender() -> Iterator[Open]:
    """Return a function that opens senders, which are closed at the end."""
    opened: list[Sender] = []

    def open_one(broker: str, **options: Any) -> Sender:
        opened.append(Sender(ClientConfig(broker=broker, **options)))
        return opened[-1]

    yield open_one
    for sender in opened:
        sender.close(0.1)


def emit_batches(sender: Sender, first: int, end: int) -> None:
    """Emit numbers in many batches."""
    for number in range(first, end):
        sender.emit(metric(number), RUN)
        if number % 10 == 9:
            time.sleep(0.006)


@pytest.mark.parametrize("chance", [0.01, 0.2, 0.5])
def test_bad_line(host: Host, tmp_path: Path, open_sender: Open, chance: float) -> None:
    """With 1, 20 or 50 % of messages lost, repeated and late, all arrive once, in order (B1)."""
    config, count = tmp_path / "line.json", 800 if chance == 0.5 else 2000
    with Daemon(tmp_path / "journal", "--listen", "tcp://127.0.0.1:0") as broker:
        back, front = int(broker.url.rpartition(":")[2]), free_ports()
        line = {"front": front, "back": back, "cut": False, "delay": 0.1}
        config.write_text(json.dumps(line | {"lost": chance, "twice": chance, "late": chance}))
        host.start(sys.executable, PROXY, config)
        sender = open_sender(f"tcp://127.0.0.1:{front}", hello_every=0.05)
        emit_batches(sender, 0, count)
        assert sender.flush(60)
    found = envelopes(tmp_path / "journal")
    assert_complete(found)
    assert numbers(tmp_path / "journal") == list(range(count))


def test_last_batch_is_lost(
    tmp_path: Path, open_sender: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When just the last batch is lost, a quiet client asks, and sends it again (B2)."""
    lost: list[int] = []
    send = wire.Wire.send_batch

    def lose_the_last(self: wire.Wire, header: Any, body: bytes) -> bool:
        if header.first + header.count - 1 == 100 and not lost:
            lost.append(header.first)
            return True
        return send(self, header, body)

    monkeypatch.setattr(wire.Wire, "send_batch", lose_the_last)
    with Daemon(tmp_path) as broker:
        sender = open_sender(broker.url, ping_every=60.0)
        emit_batches(sender, 0, 100)
        assert sender.flush(20)
    assert lost
    assert numbers(tmp_path) == list(range(100))


def test_acknowledgements_are_lost(
    tmp_path: Path, open_sender: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost acknowledgements are asked for again, and nothing is journaled twice (B3)."""
    lost: list[Message] = []
    good = threading.Event()
    messages = wire.Wire.messages

    def lose_some(self: wire.Wire) -> Iterator[Message]:
        for message in messages(self):
            if isinstance(message, Ack | Nak) and not good.is_set():
                lost.append(message)
            else:
                yield message

    monkeypatch.setattr(wire.Wire, "messages", lose_some)
    with Daemon(tmp_path) as broker:
        sender = open_sender(broker.url, probe_at_most=0.2, ping_every=60.0)
        emit_batches(sender, 0, 300)
        eventually(lambda: len(numbers(tmp_path)) == 300, 20, "all is journaled")
        assert sender.status().acknowledged == 0
        good.set()
        assert sender.flush(20)
        emit_batches(sender, 300, 400)
        assert sender.flush(20)
    assert len(lost) > 5
    assert_complete(envelopes(tmp_path))
    assert numbers(tmp_path) == list(range(400))


def test_killed_between_journal_and_acknowledgement(tmp_path: Path, open_sender: Open) -> None:
    """A broker killed when a batch is on disk and not acknowledged takes it once (B4)."""
    url = f"ipc://{tmp_path / 's'}"
    killed = Daemon(tmp_path / "j", "--listen", url, DRYTORCH_FAILPOINT="journal.synced:5")
    sender = open_sender(url)
    emit_batches(sender, 0, 300)
    assert killed.process.wait(20) == -9
    killed.process.communicate()
    on_disk = numbers(tmp_path / "j")
    assert len(on_disk) > sender.status().acknowledged
    with Daemon(tmp_path / "j", "--listen", url):
        emit_batches(sender, 300, 400)
        assert sender.flush(20)
    assert_complete(envelopes(tmp_path / "j"))
    assert numbers(tmp_path / "j") == list(range(400))


def test_duplicate_after_a_week(tmp_path: Path) -> None:
    """What a broker took a week ago, and before a restart, is still a duplicate (B5)."""
    clock = tmp_path / "clock"
    clock.write_text(str(WEEK_BEFORE))
    shifted = {"CHAOS_CLOCK": str(clock), "PYTHONPATH": str(PROXY.parent / "clock")}
    with Daemon(tmp_path / "j", **shifted) as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 50)
        client.acknowledged(50)
        noted = client.fetch().records
    (segment,) = segments(tmp_path / "j")
    assert read_header(segment).created < time.time_ns() + (WEEK_BEFORE + 3600) * 10**9
    with Daemon(tmp_path / "j") as broker, Client(broker.url) as client:
        assert client.welcome(oldest=1, upcoming=51).durable == 50
        client.publish(1, 50)
        client.publish(41, 20)
        client.acknowledged(60)
        found = client.fetch().records
    assert found[: len(noted)] == noted
    assert [unpack(payload)["seq"] for _, payload in found] == list(range(1, 61))


def came_back(relay: Relay, before: int) -> bool:
    """Tell whether both sockets of the client are connected again."""
    return relay.connections >= before + 2


def holds_at_most(process: psutil.Process, count: int) -> bool:
    """Tell whether a process has no more descriptors open."""
    return process.num_fds() <= count


@pytest.mark.parametrize(
    "times", [30, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(240)])]
)
def test_cut_again_and_again(tmp_path: Path, open_sender: Open, times: int) -> None:
    """A client cut off a thousand times, whenever it is back, loses and leaks nothing (B6)."""
    number = 0
    with (
        Daemon(tmp_path, "--listen", "tcp://127.0.0.1:0") as broker,
        Relay(broker.url) as relay,
    ):
        sender = open_sender(relay.url)
        processes = psutil.Process(broker.process.pid), psutil.Process()
        emit_batches(sender, 0, 10)
        assert sender.flush(20)
        descriptors = [process.num_fds() for process in processes]
        for _ in range(times):
            before = relay.connections
            relay.cut()
            eventually(partial(came_back, relay, before), 10, "it comes back")
            for _ in range(5):
                number += 1
                sender.emit(metric(number + 9), RUN)
        assert sender.flush(30)
        for process, count in zip(processes, descriptors, strict=True):
            eventually(partial(holds_at_most, process, count + 4), 10, "connections are closed")
        assert broker.ask("status")["producers"] == 1
    assert_complete(envelopes(tmp_path))
    assert numbers(tmp_path) == list(range(number + 10))


EQUALS = """
from drytorch_client import Experiment, init_trackers
init_trackers("none")
experiment = Experiment(None, name="Exp", par_dir="out", broker=os.environ["URL"])
with experiment.create_run(run_id="r") as run:
    for number in range(200):
        run.log({"loss": number}, step=number)
    say(os.getpid(), sys.argv[1], run.flush(20))
"""


def test_two_hosts_with_equal_pids_and_names(host: Host, tmp_path: Path) -> None:
    """Clients of two hosts with one pid and one run's names are two producers of two runs (B7)."""
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can give two processes one pid")
    with Daemon(tmp_path / "journal", "--listen", "tcp://127.0.0.1:0") as broker:
        started = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            places = {"HOME": str(tmp_path / name), "XDG_STATE_HOME": str(tmp_path / name / "s")}
            code = f"import os; os.chdir({name!r})\n" + IMPORTS + EQUALS
            command = [*alone, sys.executable, "-c", code, name]
            started.append(host.start(*command, URL=broker.url, **places))
        said = [host.finish(each) for each in started]
        assert {each.stdout for each in said} == {"1 one True\n", "1 two True\n"}, said
        assert len(broker.ask("runs")) == 2
    found = envelopes(tmp_path / "journal")
    assert_complete(found)
    for run in {each.origin.run for each in found}:
        own = [each for each in found if each.origin.run == run]
        assert len({each.origin.producer for each in own}) == 1
        assert [each.event.step for each in own if isinstance(each.event, MetricEvent)] == list(
            range(200)
        )
        assert (own[0].kind, own[-1].kind) == ("StartExperiment", "StopExperiment")
