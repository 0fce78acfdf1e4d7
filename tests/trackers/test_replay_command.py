"""`drytorch replay`: the same artefacts, however often, from files and from a broker."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import main
from drytorch_trackers.hosted import Pace
from drytorch_trackers.memory import MemoryTracker
from drytorch_trackers.replay import ReplayOptions, replay
from feeding import Clock, Run
from hosts import BIN, Host, eventually
from journal_making import write_journal
from producing import Broker, Producer
from working import CSV, rows

Captured = pytest.CaptureFixture[str]


def no_warning(text: str) -> None:
    """Fail: nothing should go wrong here."""
    raise AssertionError(text)


def test_twice_adds_nothing(tmp_path: Path, capsys: Captured) -> None:
    """Replaying again into the same folder leaves every file as it was (E1)."""
    write_journal(tmp_path / "journal", Run().whole(20), per_segment=7)
    line = ["replay", str(tmp_path / "journal"), "--to", "csv", "--par-dir", str(tmp_path)]
    assert main(line) == exit_codes.OK
    expected = (tmp_path / CSV).read_bytes()
    assert expected.count(b"\n") == 21
    assert main(line) == exit_codes.OK
    assert (tmp_path / CSV).read_bytes() == expected
    assert capsys.readouterr().err == ""


def test_only_some_runs(tmp_path: Path, capsys: Captured) -> None:
    """Globs on experiment and run choose what is replayed and what is listed."""
    payloads = [each for number in range(20) for each in Run(number, f"r{number:02}").whole(1)]
    write_journal(tmp_path / "journal", payloads)
    journal = str(tmp_path / "journal")
    assert main(["replay", journal, "--list", "--run", "r1[0-4]"]) == exit_codes.OK
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in listed[1:]] == ["r10", "r11", "r12", "r13", "r14"]
    assert all("completed" in line for line in listed[1:])
    assert main(["replay", journal, "--to", "csv", "--run", "r07", "--par-dir", str(tmp_path)]) == 0
    assert [path.name for path in (tmp_path / "csv_metrics" / "Exp").iterdir()] == ["r07"]
    assert main(["replay", journal, "--list", "--experiment", "exp"]) == exit_codes.OK
    assert capsys.readouterr().out.endswith("No runs.\n")


@pytest.mark.parametrize(("speed", "seconds"), [(0.0, 0), (1.0, 11), (10.0, 1.1)])
def test_speed(tmp_path: Path, speed: float, seconds: float) -> None:
    """At speed 1 events follow each other as they were emitted, at 10 ten times as fast."""
    clock, tracker = Clock(), MemoryTracker()
    records: Iterator[tuple[int, bytes]] = iter(enumerate(Run().whole(9)))
    options = ReplayOptions(tmp_path, speed=speed)
    done = replay(records, {"m": tracker}, options, pace=clock.pace(), warn=no_warning)
    assert (done.events, done.runs, done.failures) == (12, 1, 0)
    assert sum(clock.slept) == pytest.approx(seconds)
    assert len(tracker.deliveries) == 12
    assert tracker.flushes


def test_asked_to_stop(tmp_path: Path) -> None:
    """A replay that is asked to stop flushes, cleans up, and says that it is not complete."""
    tracker = MemoryTracker()
    pace = Pace(lambda _seconds: None, leaving=lambda: len(tracker.deliveries) >= 5)
    options = ReplayOptions(tmp_path)
    records = iter(enumerate(Run().whole(9)))
    done = replay(records, {"m": tracker}, options, pace=pace, warn=no_warning)
    assert done.interrupted
    assert len(tracker.deliveries) == 5
    assert (tracker.flushes, tracker.clean_ups) == (1, 1)


@pytest.mark.system(deadline=10)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_replay_is_completed(host: Host, tmp_path: Path, number: int) -> None:
    """After a kill or Ctrl-C at any moment the same command completes the files (E2)."""
    run = Run()
    paths = write_journal(tmp_path / "journal", run.whole(3000))
    command: list[str | Path] = [BIN / "drytorch", "replay", *paths, "--to", "csv", "--par-dir"]
    assert host.run(*command, tmp_path / "whole").returncode == 0
    started = host.start(*command, tmp_path / "again")
    eventually(lambda: rows(tmp_path / "again" / CSV) > 50, 20, "some rows")
    started.send_signal(number)
    finished = host.finish(started)
    if number == signal.SIGINT:
        assert finished.returncode == exit_codes.INTERRUPTED
        assert finished.stderr.startswith("drytorch replay: Interrupted")
    assert rows(tmp_path / "again" / CSV) < 3001
    assert host.run(*command, tmp_path / "again").returncode == 0
    assert (tmp_path / "again" / CSV).read_bytes() == (tmp_path / "whole" / CSV).read_bytes()


@pytest.mark.system(deadline=10)
def test_from_a_broker(
    host: Host, broker: Broker, producer_of: Callable[[Run], Producer], tmp_path: Path
) -> None:
    """A broker's journal is replayed and listed like a file, also while its run goes on (E3)."""
    run = Run()
    producer_of(run).send(run.whole(30)[:-1])
    sources: list[list[str]] = [["--broker", broker.url], [str(broker.folder)]]
    for source in sources:
        out = tmp_path / source[0].strip("-/").replace("/", "_")
        replayed = host.drytorch("replay", *source, "--to", "csv", "--par-dir", out)
        assert replayed.returncode == 0, replayed.stderr
        assert rows(out / CSV) == 31
        listed = host.drytorch("replay", *source, "--list").stdout
        assert listed.splitlines()[1].split()[:4] == ["Exp", "r", "running", "32"]


def test_a_bar_on_a_terminal_only(host: Host, tmp_path: Path) -> None:
    """A replay shows its progress to a person, and nothing in a pipe."""
    write_journal(tmp_path / "journal", Run().whole(2000))
    arguments = [
        "replay",
        str(tmp_path / "journal"),
        "--to",
        "csv",
        "--par-dir",
        str(tmp_path / "a"),
    ]
    piped = host.drytorch(*arguments)
    assert (piped.returncode, piped.stderr) == (0, "")
    shown: Any
    shown, status = pexpect.run(  # type: ignore[str-unpack]  # a pair, with the status
        f"{BIN / 'drytorch'} {' '.join(arguments[:-1])} {tmp_path / 'b'}",
        withexitstatus=True,
        env=host.environment,
    )
    assert status == 0
    assert b"100%" in shown


def test_standard_input(host: Host, tmp_path: Path) -> None:
    """Segments that are joined by `cat` are replayed from a pipe (E7)."""
    paths = write_journal(tmp_path / "journal", Run().whole(50), per_segment=20)
    joined = " ".join(map(str, paths))
    done = host.run(
        "sh", "-c", f"cat {joined} | {BIN / 'drytorch'} replay - --to csv --par-dir {tmp_path}"
    )
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / CSV) == 51
    start = time.monotonic()
    assert host.drytorch("replay", "-", "--to", "csv").returncode == exit_codes.DATA
    assert time.monotonic() - start < 20
