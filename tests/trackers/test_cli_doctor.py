"""`drytorch doctor` tells what is the case on a host, and what is wrong, and touches nothing."""

import fcntl
import importlib.metadata
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dead_spools import leave_a_spool
from drytorch_client.broker_address import local_broker_runs
from drytorch_client.workers.owed import claim, owed_file, put
from drytorch_schemas import spool_files
from drytorch_schemas.folders import (
    fallback_runtime_dir,
    journal_dir,
    private_folder,
    spool_dir,
    state_dir,
)
from drytorch_schemas.locks import FileLock
from drytorch_trackers.checkup import broker as broker_checkup
from drytorch_trackers.cli import main
from feeding import Run
from hosts import Host, eventually
from producing import Broker
from segments import segment
from working import spec_of

Doctor = Callable[[], tuple[int, str, list[str]]]

pytestmark = pytest.mark.system(deadline=20)


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return a way to run the command here: its code, its text, and its problems."""

    def run() -> tuple[int, str, list[str]]:
        code = main(["doctor"])
        text = capsys.readouterr().out
        assert main(["doctor", "--json"]) == code
        told = json.loads(capsys.readouterr().out)
        problems = [each["text"] for each in told["problems"]]
        assert told["ok"] == (not problems) == (code == 0)
        assert all(each.endswith(".") and "\n" not in each for each in problems)
        return code, text, problems

    return run


def tree(folder: Path) -> dict[str, tuple[float, int]]:
    """Return what lies in a folder, and when it was changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_mtime, status.st_size)
    return found


def make_state() -> Path:
    """Make the state folder as a training does, and return it."""
    return private_folder(journal_dir()).parent


# ---- all is well


def test_a_fresh_host_is_well_and_stays_fresh(doctor: Doctor, isolated_environment: Path) -> None:
    """With nothing there yet all is well, in one screen, and nothing is made or started."""
    before = tree(isolated_environment)
    code, text, problems = doctor()
    assert (code, problems) == (0, [])
    assert tree(isolated_environment) == before
    assert importlib.metadata.version("drytorch-bus") in text
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[-1].startswith("All is well")


def test_a_host_at_work_is_well(
    doctor: Doctor, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While a broker, a training and workers are at work all is well, and they are counted."""
    broker = Broker(host, journal_dir())
    monkeypatch.setenv("DRYTORCH_BROKER", broker.url)
    training = host.train(tmp_path / "out", 10_000)

    def all_at_work() -> bool:
        text = host.drytorch("doctor").stdout
        return "1 training at work" in text and "1 training, " in text and "0 at work" not in text

    eventually(all_at_work, 20, "a training with workers")
    code, text, _ = doctor()
    assert "ready, process" in text
    assert f"{broker.url} is ready" in " ".join(text.split())
    assert code == 0, text
    assert len(text.splitlines()) <= 24
    training.kill()
    broker.close()
    for worker in host.workers():
        worker.kill()


# ---- the broker


def test_a_frozen_broker_is_told_from_a_killed_one(
    doctor: Doctor, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that holds its lock and does not answer is a problem; a killed one is none."""
    monkeypatch.setattr(broker_checkup, "TIMEOUT", 0.5)
    broker = Broker(host, journal_dir())
    process = psutil.Process(broker._process.pid)
    process.send_signal(signal.SIGSTOP)
    code, text, (problem,) = doctor()
    assert code == 69
    assert f"process {process.pid}" in problem
    assert "does not answer" in problem
    assert "1 problem on" in text
    process.send_signal(signal.SIGCONT)
    broker.kill()
    eventually(lambda: not local_broker_runs(), 5, "its lock is free")
    code, text, problems = doctor()
    assert (code, problems) == (0, []), text
    assert "none runs" in text


STATUS = {
    "ready": True,
    "version": importlib.metadata.version("drytorch-bus"),
    "url": "ipc:///x",
    "max_bytes": 1 << 30,
    "head": 10,
    "folder": "/journal",
    "host": "h",
}


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"ready": False, "reason": "No space left on device"}, "No space left on device"),
        ({"version": "0.0.1"}, "version 0.0.1"),
        ({"max_bytes": 100}, "--max-bytes"),
        ({"damage": ["at 3", "at 4"]}, "damaged (2 places): `drytorch-broker check"),
    ],
)
def test_what_a_broker_says_of_itself(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, says: dict[str, Any], words: str
) -> None:
    """A broker in trouble, of another version, or with a full or damaged journal is a problem."""
    make_state()
    segment(0, 5).save(journal_dir())
    lock = FileLock(journal_dir() / "lock")
    assert lock.acquire()
    monkeypatch.setattr(broker_checkup, "_status_of", lambda _: STATUS)
    assert doctor()[0] == 0
    monkeypatch.setattr(broker_checkup, "_status_of", lambda _: STATUS | says)
    code, _, (problem,) = doctor()
    assert code == 69
    assert words in problem
    lock.release()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("tcp://127.0.0.1:1", "No broker answers at tcp://127.0.0.1:1, which DRYTORCH_BROKER"),
        ("carrier pigeon", "is not a broker's URL"),
        ("disabled", ""),
    ],
)
def test_the_broker_of_the_variable(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    """A broker that the environment names and that is away, or no broker at all, is a problem."""
    monkeypatch.setattr(broker_checkup, "TIMEOUT", 0.1)
    monkeypatch.setenv("DRYTORCH_BROKER", value)
    code, text, problems = doctor()
    assert value in text
    assert code == (69 if words else 0)
    assert [words in each for each in problems] == [True] * bool(words)


@pytest.mark.parametrize("as_json", [False, True])
def test_errors_of_the_broker_s_log(doctor: Doctor, *, as_json: bool) -> None:
    """The last error since the last start is told; a problem unless the broker left in order."""
    make_state()

    def line(second: int, level: str, text: str) -> str:
        if as_json:
            fields = {"time": second, "level": level.lower(), "logger": "x", "message": text}
            return json.dumps(fields)
        return f"1970-01-01T00:00:{second:02}.000Z {level} {text}"

    log = journal_dir() / "broker.log"
    lines = [
        line(1, "INFO", "listening on ipc:///x"),
        line(2, "ERROR", "an old error"),
        line(3, "INFO", "listening on ipc:///x"),
        line(4, "ERROR", "one"),
        line(5, "ERROR", "two"),
        "Traceback (most recent call last):\x1b[31m",
    ]
    log.write_text("\n".join(lines))
    code, text, (problem,) = doctor()
    assert code == 69
    assert "1970-01-01T00:00:05.000Z two" in problem
    assert "2 errors since its last start" in text
    assert "an old error" not in text
    log.write_text("\n".join([*lines, line(6, "INFO", "stopping")]))
    code, text, problems = doctor()
    assert (code, problems) == (0, [])
    assert "2 errors since its last start" in text


# ---- leftovers


def test_spools_of_dead_trainings(doctor: Doctor) -> None:
    """What dead trainings left is counted for each broker; a living one's spool is no problem."""
    make_state()
    one, two, living = Run(1, producer="a" * 32), Run(2, producer="b" * 32), "c" * 32
    leave_a_spool(one, one.whole(5), journal=str(journal_dir()))
    leave_a_spool(two, two.whole(1), broker="tcp://127.0.0.1:1")
    third = Run(3, producer=living)
    lock = FileLock(spool_files.lock_path(leave_a_spool(third, third.whole(1))))
    assert lock.acquire()
    before = tree(state_dir())
    code, text, (first, second) = doctor()
    lock.release()
    assert code == 69
    count = len(Run().whole(5))
    assert first == f"1 dead training left up to {count} events in its spool: run `drytorch sync`."
    assert "for the broker at tcp://127.0.0.1:1" in second
    assert "1 training at work" in text
    assert tree(state_dir()) == before


def test_owed_workers(doctor: Doctor, host: Host) -> None:
    """Workers that are not at work are named with what to do, but one that just begins is not."""
    locks = []
    for name in ("waits", "stopped", "busy", "pickled", "just_put"):
        spec = spec_of(host, "ipc:///x", "csv", name=name, owed=str(owed_file(name)))
        if name == "pickled":
            (tracker,) = spec.declarations
            handed = tracker.model_copy(update={"handed_over": True, "name": "Mine"})
            spec = spec.model_copy(update={"declarations": [handed]})
        put(spec, "20 dead letters in a row." if name == "stopped" else "")
        if name in {"waits", "pickled"}:
            os.utime(owed_file(name), (0, 0))
        if name == "busy":
            locks.append(claim(spec))
    owed_file("damaged").write_bytes(b"\x00")
    before = tree(state_dir())
    code, text, problems = doctor()
    assert locks[0] is not None
    locks[0].release()
    assert code == 69
    assert "2 at work; 3 not at work" in text
    assert len(problems) == 4
    damaged, *others = problems
    assert "damaged.msgpack is damaged: remove it" in damaged
    assert any("stopped (20 dead letters in a row)" in each for each in others)
    assert any(
        "waits is not at work, with things left to do: run `drytorch sync`" in each
        for each in others
    )
    assert any("handed Mine over" in each and "drytorch replay" in each for each in others)
    assert not any("busy" in each or "just_put" in each for each in others)
    assert tree(state_dir()) == before


# ---- damage


def test_a_damaged_state_folder(doctor: Doctor) -> None:
    """Whatever is damaged is named, the rest is looked at all the same, and nothing is touched."""
    make_state()
    journal_dir().chmod(0o755)
    for name in ("endpoint.json", "lock", "durable"):
        (journal_dir() / name).write_bytes(b"\x00\xff{broken")
    (journal_dir() / "broker.log").mkdir()
    segment(0, 5).save(journal_dir())
    segment(5, 5, journal="ee" * 16).save(journal_dir())
    (journal_dir() / f"{10:020}.msgpack").write_bytes(b"not a segment")
    spool = leave_a_spool(Run(), Run().whole(1), journal=str(journal_dir()))
    (spool / "meta.msgpack").write_bytes(b"\xc1")
    bare = spool_dir() / ("f" * 32)
    shutil.copytree(spool, bare)
    (bare / "lock").unlink()
    (state_dir() / "owed").write_text("a file where a folder should be")
    before = tree(state_dir())
    code, text, problems = doctor()
    assert tree(state_dir()) == before
    assert code == 69
    for words in (
        "Others may enter the folder",
        f"damaged ({10:020}.msgpack)",
        "Segments of 2 journals",
        f"{spool}/meta.msgpack is damaged: remove",
        "has lost its file `lock`",
        "owed is not a folder",
        "broker.log cannot be looked at",
    ):
        assert sum(words in each for each in problems) == 1, (words, problems)
    assert len(problems) == 7
    assert "none runs" in text


def test_a_state_folder_that_cannot_be_made(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file where the state folder should be is told, and what to set instead."""
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    code, _, problems = doctor()
    assert code == 69
    assert "XDG_STATE_HOME" in problems[0]


def test_a_file_system_without_flock(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without flock is told before a broker refuses it."""

    def flock(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    code, text, problems = doctor()
    assert code == 69
    assert "no flock" in text
    assert "choose a folder on a local disk" in problems[0]


def test_little_room(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is nearly full is told."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1 << 20))
    code, _, (problem,) = doctor()
    assert code == 69
    assert "Only 1.0 MiB are free" in problem


def test_a_runtime_folder_with_too_long_a_path(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where a socket's path would be too long the place that is used instead is told."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    assert str(fallback_runtime_dir()) in doctor()[1]
