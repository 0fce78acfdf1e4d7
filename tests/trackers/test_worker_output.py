"""A worker's output: shown while somebody looks, in the log afterwards, and bounded."""

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from drytorch_trackers.worker_output import BoundedLog, LastingStream, Turns, remove_old_logs
from feeding import Run
from hosts import Host, eventually
from producing import Broker, Producer
from working import CSV, Workers, rows, spec_of

Maker = Callable[[Run], Producer]


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """What a closed pipe cannot take goes to the log, also from the descriptor itself."""
    log = BoundedLog(tmp_path / "logs" / "w.log")
    reading, writing = os.pipe()
    stream = LastingStream(writing, log)
    assert stream.write(b"seen\n") == 5
    assert os.read(reading, 100) == b"seen\n"
    os.close(reading)
    assert stream.write(b"unseen\n") == 7
    os.write(writing, b"from a library\n")
    stream.close()
    stream.write(b"after close\n")
    assert not stream.isatty()
    text = (tmp_path / "logs" / "w.log").read_text()
    assert text == "unseen\nfrom a library\nafter close\n"
    assert (tmp_path / "logs" / "w.log").stat().st_mode & 0o777 == 0o600
    os.close(writing)
    log.close()


def test_two_pipes_keep_their_order(tmp_path: Path) -> None:
    """A reader who looks at one pipe at a time gets lines and bars in the order of writing."""
    log, turns = BoundedLog(tmp_path / "w.log"), Turns()
    pipes = [os.pipe() for _ in range(2)]
    out, err = (LastingStream(writing, log, turns) for _, writing in pipes)

    def write() -> None:
        for number in range(20):
            (out, err)[number % 2].write(b"%d " % number)

    writer = threading.Thread(target=write)
    writer.start()
    read = b""
    while read.count(b" ") < 20:
        # the second pipe first: without turns it would be far ahead of the other
        ready = select.select([pipes[1][0], pipes[0][0]], [], [], 10)[0]
        assert ready, "nothing comes any more"
        read += os.read(ready[0], 100)
    writer.join()
    assert read == b"".join(b"%d " % number for number in range(20))
    for descriptor in (*pipes[0], *pipes[1]):
        os.close(descriptor)
    log.close()


def test_nobody_waits_long_for_a_turn(tmp_path: Path) -> None:
    """Where nobody reads, or it is no pipe, the other stream goes on all the same."""
    log, turns = BoundedLog(tmp_path / "w.log"), Turns()
    reading, writing = os.pipe()
    file = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT, 0o600)
    streams = [LastingStream(writing, log, turns), LastingStream(file, log, turns)]
    for number in range(4):
        streams[number % 2].write(b"%d" % number)
    assert os.read(reading, 10) == b"02"
    assert (tmp_path / "file").read_bytes() == b"13"
    for descriptor in (reading, writing, file):
        os.close(descriptor)
    log.close()


def test_a_descriptor_that_somebody_closed(tmp_path: Path) -> None:
    """A tracker that closes the descriptor itself finds the log there."""
    log = BoundedLog(tmp_path / "w.log")
    reading, writing = os.pipe()
    stream = LastingStream(writing, log)
    os.close(writing)
    assert stream.write(b"late\n") == 5
    assert (tmp_path / "w.log").read_bytes() == b"late\n"
    os.close(writing)
    os.close(reading)
    log.close()


def test_a_log_has_a_bound(tmp_path: Path) -> None:
    """Any number of lines leaves two files of bounded size, the latest lines in them (D9)."""
    log = BoundedLog(tmp_path / "w.log", max_bytes=10_000)
    for number in range(3000):
        log.write(f"line {number}\n".encode())
    log.write(b"x" * 50_000)
    log.write(b"last\n")
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["w.log", "w.log.1"]
    assert all(path.stat().st_size <= 10_000 for path in files)
    assert files[0].read_bytes().endswith(b"last\n")
    log.close()


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    """Where no log can be, lines are lost and nothing else."""
    (tmp_path / "file").touch()
    log = BoundedLog(tmp_path / "file" / "w.log")
    log.write(b"lost\n")
    log.close()


def test_old_logs_go(tmp_path: Path) -> None:
    """Logs that nobody has written to for two weeks are removed, others stay."""
    for name, age in (("old.log", 15), ("old.log.1", 15), ("new.log", 13), ("other.txt", 99)):
        path = tmp_path / name
        path.touch()
        os.utime(path, (0, 1e9 - age * 86400))
    remove_old_logs(tmp_path, now=1e9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.log", "other.txt"]
    remove_old_logs(tmp_path / "gone")


@pytest.mark.system(deadline=20)
def test_a_rude_tracker_harms_only_itself(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A tracker that changes the folder, floods stdout and closes it leaves others alone (D9)."""
    run = Run()
    producer_of(run).send(run.whole(8))
    spec = spec_of(host, broker.url, "Rude", "csv", par_dir=str(tmp_path / "out"))
    process = workers.start(spec)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert rows(tmp_path / "out" / CSV) == 9
    assert out.startswith(b"x" * 1_000_000 + b"\nstill here\n")
    log = Path(spec.log_file).read_bytes() + Path(f"{spec.log_file}.1").read_bytes()
    assert b"in the log" in log
    assert len(log) < 9_000_000


@pytest.mark.system(deadline=20)
def test_the_training_dies_while_it_relays(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker
) -> None:
    """A worker whose relaying parent is gone writes the rest of its lines to its log."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(4)
    producer.send(payloads[:4])
    spec = spec_of(host, broker.url, "Printing")
    process = workers.start(spec)
    assert process.stderr is not None
    assert process.stderr.readline() == b"epoch 1\n"
    assert process.stderr.readline() == b"epoch 2\n"
    process.stderr.close()
    process.stderr = None
    producer.send(payloads[4:])
    eventually(lambda: process.poll() is not None, 20, "the worker leaves")
    assert process.returncode == 0
    assert "epoch 3\nepoch 4\n" in Path(spec.log_file).read_text()
