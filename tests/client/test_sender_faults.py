"""Processes that are killed, frozen and forked around a sender: nothing is lost or doubled."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from drytorch_client import orphans
from drytorch_schemas import spool_files
from drytorch_schemas.endpoint import read_endpoint
from drytorch_schemas.events import LossEvent, MetricEvent
from drytorch_schemas.folders import journal_dir, spool_dir
from emitting import envelopes, numbers, run, start
from hosts import BIN, Host, eventually


@pytest.fixture
def host(tmp_path: Path, no_process_left_behind: None) -> Iterator[Host]:  # noqa: ARG001 - it looks last
    """Return a host whose broker ends with the test."""
    host = Host(tmp_path)
    yield host
    host.stop()


def complete(last: int) -> bool:
    """Tell whether the journal has all metrics up to a number, each once and in order."""
    found = numbers()
    assert found == sorted(set(found))
    return found == list(range(last + 1))


def more_than(count: int) -> bool:
    """Tell whether the journal has more metrics."""
    return len(numbers()) > count


def local_broker() -> psutil.Process:
    """Return this user's broker, and not the process that starts it."""

    def living() -> psutil.Process | None:
        found = read_endpoint(journal_dir())
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(found.pid) if found is not None else None
        return None

    broker: psutil.Process = eventually(living, 20, "a broker")
    return broker


def remove(folder: Path) -> None:
    """Remove a folder in which somebody is writing."""
    aside = folder.with_name("removed")
    folder.rename(aside)
    shutil.rmtree(aside)


def obstacle() -> Path:
    """Put a file where the journal's folder should be, so that no broker can start."""
    journal_dir().parent.mkdir(parents=True)
    journal_dir().touch()
    return journal_dir()


def drytorch_lines(text: str) -> list[str]:
    """Return the lines that the client wrote."""
    return [line for line in text.splitlines() if line.startswith("drytorch: ")]


def test_no_broker_at_all(host: Host) -> None:
    """Without a broker a line warns, one at the end tells what waits, and that comes later (A1)."""
    in_the_way = obstacle()
    ended = run(
        host,
        """
        worst = 0.0
        for number in range(300):
            time.sleep(0.002)
            before = time.perf_counter()
            emit(number)
            worst = max(worst, time.perf_counter() - before)
        say(worst)
        """,
    )
    assert ended.returncode == 0
    warning, end = drytorch_lines(ended.stderr)
    assert "warning: No broker can be started" in warning
    assert "300 events wait" in end
    in_the_way.unlink()
    host.broker("start", "--detach", "--idle-exit", "30")
    eventually(lambda: complete(299), 20, "the broker takes the spool in")
    eventually(lambda: not list(spool_dir().iterdir()), 20, "the spool is removed")


def test_exit_with_a_full_queue_and_no_broker(host: Host) -> None:
    """A process with a full queue and no broker ends in bounded time and keeps its events (A15)."""
    in_the_way = obstacle()
    begun = time.monotonic()
    ended = run(
        host,
        """
        for number in range(60_000):
            emit(number)
        say(sender.status().accepted)
        """,
    )
    assert time.monotonic() - begun < 15
    assert ended.returncode == 0
    assert len(drytorch_lines(ended.stderr)) <= 2
    in_the_way.unlink()
    host.broker("start", "--detach", "--idle-exit", "30")
    eventually(lambda: not list(spool_dir().iterdir()), 30, "the spool is removed")
    lost = sum(each.event.count for each in envelopes() if isinstance(each.event, LossEvent))
    assert len(numbers()) + lost == 60_000


def test_broker_killed_again_and_again(host: Host) -> None:
    """A broker killed -9 in the middle is started again, and nothing is missing or twice (A2)."""
    emitting = start(
        host,
        """
        for number in range(4000):
            time.sleep(0.001)
            emit(number)
        say(sender.flush(30), json.dumps(sender.status().dropped))
        """,
    )
    for seen in (0, 500, 1500):
        eventually(functools.partial(more_than, seen), 20, "some events more")
        broker = local_broker()
        broker.kill()
        broker.wait(10)
    ended = host.finish(emitting)
    assert ended.stdout.split() == ["True", "0"], ended
    assert complete(3999)
    assert drytorch_lines(ended.stderr) == []


def test_broker_frozen_and_thawed(host: Host) -> None:
    """A broker that is stopped for seconds and goes on has all events, each once."""
    emitting = start(
        host,
        """
        number = last = 0
        while not last or number < last:
            time.sleep(0.001)
            emit(number)
            number += 1
            if not last and os.path.exists("frozen"):
                last = number + 2000
        say(sender.status().broker, number)
        """,
    )
    eventually(lambda: len(numbers()) > 100, 20, "some events")
    broker = local_broker()
    broker.suspend()
    (host.folder / "frozen").touch()
    assert emitting.stdout is not None
    said, count = emitting.stdout.readline().split()
    assert said == "away"
    broker.resume()
    ended = host.finish(emitting)
    assert ended.returncode == 0
    eventually(lambda: complete(int(count) - 1), 20, "everything is there")


@pytest.mark.alone
def test_killed_producer_loses_what_was_in_memory_at_most(host: Host) -> None:
    """What was emitted 50 ms before a kill -9, and the machine's own delay, arrives (A10)."""
    emitting = start(
        host,
        """
        worst = [0.0]
        def oversleep():
            while True:
                begun = time.monotonic()
                time.sleep(0.005)
                worst[0] = max(worst[0], time.monotonic() - begun - 0.005)
        threading.Thread(target=oversleep, daemon=True).start()
        number = 0
        while True:
            emit(number)
            say(number, time.monotonic(), worst[0])
            number += 1
            time.sleep(0.001)
        """,
    )
    eventually(lambda: len(numbers()) > 300, 20, "some events")
    broker = local_broker()
    broker.suspend()
    time.sleep(0.3)
    killed = time.monotonic()
    emitting.kill()
    lines = emitting.communicate()[0].splitlines()
    broker.resume()
    said = [line.split() for line in lines if len(line.split()) == 3]
    # what a thread with the sender's period overslept is the machine's delay, not ours
    bound = 0.05 + max(float(worst) for _, _, worst in said)
    safe = max(int(number) for number, at, _ in said if float(at) < killed - bound)
    eventually(lambda: numbers()[-1:] >= [safe], 20, "the spool is delivered")
    assert numbers() == list(range(len(numbers())))
    eventually(lambda: not list(spool_dir().iterdir()), 20, "the spool is removed")
    assert len({each.origin.producer for each in envelopes() if each.kind == "Metric"}) == 1


def test_before_return_loses_nothing(host: Host) -> None:
    """Under `spool='before_return'` an event is safe from kill -9 as soon as `emit` returns."""
    in_the_way = obstacle()
    emitting = start(
        host,
        """
        for number in range(500):
            emit(number)
        say("done")
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        spool="before_return",
    )
    assert host.finish(emitting).stdout == "done\n"
    in_the_way.unlink()
    host.broker("start", "--detach", "--idle-exit", "30")
    eventually(lambda: complete(499), 20, "everything is there")


@pytest.mark.parametrize("how", ["os.fork", "fork", "spawn", "forkserver"])
def test_children_are_producers_of_their_own(host: Host, how: str) -> None:
    """Events of children arrive under other ids, and the parent's sender is unharmed (A17)."""
    script = host.folder / "script.py"
    script.write_text(
        f"""
import multiprocessing, os, sys
from drytorch_client.config import ClientConfig
from drytorch_client.senders import get_sender
from emitting import RUN, metric

def child(base):
    sender = get_sender(ClientConfig())
    for number in range(100):
        sender.emit(metric(base + number), RUN)
    if {how == "os.fork"}:
        assert sender.flush(20)
        os._exit(0)

if __name__ == "__main__":
    sender = get_sender(ClientConfig())
    for number in range(100):
        sender.emit(metric(number), RUN)
    if {how == "os.fork"}:
        for base in (1000, 2000):
            if os.fork() == 0:
                child(base)
        for _ in range(2):
            assert os.wait()[1] == 0
    else:
        context = multiprocessing.get_context({how!r})
        children = [context.Process(target=child, args=(base,)) for base in (1000, 2000)]
        for each in children:
            each.start()
        for each in children:
            each.join()
            assert each.exitcode == 0
    for number in range(100, 200):
        sender.emit(metric(number), RUN)
    assert sender.flush(20)
    assert sender.status().accepted == 200
"""
    )
    ended = host.run(sys.executable, script, PYTHONPATH=str(Path(__file__).parents[1] / "support"))
    assert ended.returncode == 0, ended.stderr
    eventually(lambda: len(numbers()) == 400, 20, "the children's events")
    by_producer: dict[str, list[int]] = {}
    for each in envelopes():
        if isinstance(each.event, MetricEvent):
            by_producer.setdefault(each.origin.producer, []).append(each.event.epoch)
    expected = [list(range(200)), list(range(1000, 1100)), list(range(2000, 2100))]
    assert sorted(by_producer.values()) == expected


def test_child_that_only_exits_harms_nobody(host: Host) -> None:
    """A forked child that leaves by os._exit or sys.exit has taken nothing of its parent (A18)."""
    ended = run(
        host,
        """
        emit(0)
        for leave in (os._exit, sys.exit):
            for number in range(5):
                child = os.fork()
                if child == 0:
                    leave(0)
                os.waitpid(child, 0)
                emit(number)
        assert sender.flush(20)
        say(sender.status().acknowledged)
        """,
    )
    assert ended.stdout == "11\n", ended
    assert drytorch_lines(ended.stderr) == []


def test_fork_while_threads_emit(host: Host) -> None:
    """A fork at any moment, with locks held by other threads, gives a child that can emit (A19)."""
    ended = run(
        host,
        """
        def work():
            for number in range(3000):
                emit(number)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for each in threads:
            each.start()
        for number in range(15):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                emit(10_000 + number)
                os._exit(0 if sender.flush(15) else 1)
            assert os.waitpid(child, 0)[1] == 0
        for each in threads:
            each.join()
        assert sender.flush(30)
        say(sender.status().accepted)
        """,
        on_full="block",
    )
    assert ended.stdout == "9000\n", ended
    assert sorted(each for each in numbers() if each >= 10_000) == list(range(10_000, 10_015))


@pytest.mark.parametrize("fault", ["deleted", "read-only"])
def test_spool_breaks_while_running(host: Host, fault: str) -> None:
    """A spool that is deleted or cannot be written costs one warning and no event (A9)."""
    emitting = start(
        host,
        """
        number = last = 0
        while not last or number < last:
            time.sleep(0.001)
            emit(number)
            number += 1
            if not last and os.path.exists("broken"):
                last = number + 500
        say(sender.flush(20), sender.status().acknowledged - number, number)
        """,
        segment_bytes=2000,
    )
    eventually(lambda: len(numbers()) > 100, 20, "some events")
    if fault == "deleted":
        remove(spool_dir())
    else:
        # root may write everywhere: a file in the folder's place refuses it too
        (folder,) = spool_dir().iterdir()
        remove(folder)
        folder.write_text("in the way")
    (host.folder / "broken").touch()
    ended = host.finish(emitting)
    flushed, missing, count = ended.stdout.split()
    assert (flushed, missing) == ("True", "0"), ended
    assert complete(int(count) - 1)
    (warning,) = drytorch_lines(ended.stderr)
    assert ". Events are kept in memory only." in warning


def test_remote_orphans_are_delivered_once_by_two_at_once(host: Host, tmp_path: Path) -> None:
    """What a dead producer left for a broker by URL is delivered once, whoever is faster (B8)."""
    command: list[str | Path] = [BIN / "drytorch-broker", "start", "--journal", tmp_path / "j"]
    first = host.start(*command, "--listen", "tcp://127.0.0.1:0")
    found = eventually(lambda: read_endpoint(tmp_path / "j"), 20, "the endpoint")
    first.kill()
    host.finish(first)
    emitting = start(
        host,
        """
        for number in range(5000):
            emit(number)
        while sender.status().queued:
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        broker=found.url,
    )
    host.finish(emitting)
    assert orphans.find(found.url)
    # a broker that does not see this host's spools
    environment = {"XDG_STATE_HOME": str(tmp_path / "elsewhere")}
    again = host.start(*command, "--listen", found.url, **environment)
    results: list[bool] = []

    def deliver() -> None:
        results.append(orphans.deliver_all(found.url, time.monotonic() + 20))

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert True in results
    assert orphans.find(found.url) == []
    assert numbers(tmp_path / "j") == list(range(5000))
    again.terminate()
    host.finish(again)


def test_next_client_delivers_remote_orphans(host: Host, tmp_path: Path) -> None:
    """The next client of a remote broker delivers what an earlier one left, beside its own (B8)."""
    command: list[str | Path] = [BIN / "drytorch-broker", "start", "--journal", tmp_path / "j"]
    first = host.start(*command, "--listen", "tcp://127.0.0.1:0")
    url = eventually(lambda: read_endpoint(tmp_path / "j"), 20, "the endpoint").url
    first.kill()
    host.finish(first)
    options = {"broker": url, "away_wait": 0.5}
    left = run(host, "for number in range(100): emit(number)", **options)
    assert "100 events wait" in left.stderr
    environment = {"XDG_STATE_HOME": str(tmp_path / "elsewhere")}
    again = host.start(*command, "--listen", url, **environment)
    code = """
    emit(1000)
    assert sender.flush(20)
    from drytorch_schemas.folders import spool_dir
    deadline = time.monotonic() + 20
    while len(list(spool_dir().iterdir())) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    """
    assert run(host, code, **options).returncode == 0
    assert sorted(numbers(tmp_path / "j")) == [*range(100), 1000]
    assert not list(spool_dir().iterdir())
    again.terminate()
    host.finish(again)


def test_spool_is_for_no_other_broker(host: Host) -> None:
    """What was meant for a broker by URL is not delivered to this user's own."""
    left = run(host, "emit(1)", broker="tcp://127.0.0.1:9", away_wait=0.2)
    assert "1 events wait" in left.stderr
    assert run(host, "emit(2); assert sender.flush(20)").returncode == 0
    time.sleep(2.5)  # longer than the broker's look at its host's spools takes
    assert numbers() == [2]
    (folder,) = spool_dir().iterdir()
    assert spool_files.read_meta(folder).broker == "tcp://127.0.0.1:9"


def test_many_processes_start_one_broker(host: Host) -> None:
    """Processes that begin at once share one broker."""
    code = "emit(0); assert sender.flush(30); say('ok')"
    started: list[subprocess.Popen[str]] = [start(host, code) for _ in range(6)]
    for each in started:
        assert host.finish(each).stdout == "ok\n"
    eventually(lambda: len(host.brokers()) == 1, 20, "the starting processes leave")
    assert numbers() == [0] * 6
