"""Names, cursors and dead letters of workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drytorch_broker.worker_files import WorkerFiles
from drytorch_broker.workers import Worker, Workers
from drytorch_schemas.control import Attach, Attached, Commit, DeadLetter, Detach, Filter, Refused

JOURNAL = "ab" * 16


class Desk:
    """Workers of one journal with offsets from 10 to 100."""

    def __init__(self, folder: Path, journal: str = JOURNAL) -> None:
        self.folder = folder
        self.journal = journal
        self.workers = Workers(WorkerFiles(folder / "workers"), journal, 0.0)
        self.now = 0.0
        self.start = 10

    def attach(self, instance: str = "one", **fields: Any) -> Attached | Refused:
        """Attach a worker."""
        values = {"worker": "csv", "filters": [Filter()], "host": "elsewhere"} | fields
        message = Attach(instance=instance, **values)
        return self.workers.attach(message, self.now, self.start, 100, {})

    def cursor(self, instance: str = "one", **fields: Any) -> int:
        """Attach a worker, and return its cursor."""
        answer = self.attach(instance, **fields)
        assert isinstance(answer, Attached), answer
        return answer.cursor

    def commit(self, cursor: int, instance: str = "one", **fields: Any) -> str:
        """Commit a cursor; return `done` or the code of the refusal."""
        values = {"worker": "csv", "journal": self.journal} | fields
        message = Commit(instance=instance, cursor=cursor, **values)
        answer = self.workers.commit(message, self.now, 100)
        return answer.code if isinstance(answer, Refused) else answer.type

    def detach(self, *, done: bool) -> str:
        """Detach the worker."""
        message = Detach(worker="csv", instance="one", done=done)
        return self.workers.detach(message, self.now).type

    def letter(self, offset: int, error: str = "no") -> str:
        """Put a dead letter aside."""
        message = DeadLetter(
            worker="csv", instance="one", offset=offset, tracker="csv", error=error, topic="t"
        )
        return self.workers.dead_letter(message, self.now).type

    def again(self, journal: str = JOURNAL) -> Desk:
        """Restart the broker."""
        self.workers.flush()
        return Desk(self.folder, journal)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return workers of a new journal."""
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("start", "cursor"),
    [("cursor", 10), ("start", 10), ("now", 100), ("50", 50), ("5", 10), ("999", 100)],
)
def test_where_a_new_worker_begins(desk: Desk, start: str, cursor: int) -> None:
    """A worker without a cursor begins where it asks to, within the journal."""
    assert desk.cursor(start=start) == cursor


@pytest.mark.parametrize("start", ["cursor", "start", "now", "50"])
def test_a_kept_cursor_wins(desk: Desk, start: str) -> None:
    """A worker goes on where it was, whatever it asks for, also after a restart of the broker."""
    desk.cursor()
    assert desk.commit(70) == "done"
    assert desk.commit(60) == "done"
    assert desk.detach(done=False) == "done"
    answer = desk.again().attach("two", start=start)
    assert isinstance(answer, Attached)
    assert (answer.cursor, answer.kept, answer.skipped) == (70, True, 0)


def test_a_cursor_of_another_journal_is_worth_nothing(desk: Desk) -> None:
    """When the journal was replaced a worker begins as if new."""
    desk.cursor()
    desk.commit(70)
    other = desk.again("cd" * 16)
    assert (other.commit(80), other.commit(80, journal=JOURNAL)) == ("journal", "journal")
    answer = other.attach()
    assert isinstance(answer, Attached)
    assert (answer.cursor, answer.kept) == (10, False)


def test_what_retention_took_is_told(desk: Desk) -> None:
    """A worker whose records were removed is told how many (D15)."""
    desk.cursor()
    desk.commit(20)
    desk.detach(done=False)
    desk.start = 30
    answer = desk.attach()
    assert isinstance(answer, Attached)
    assert (answer.cursor, answer.skipped) == (30, 10)
    assert desk.workers.by_name["csv"].skipped == 10


def test_a_living_worker_keeps_its_name(desk: Desk) -> None:
    """A second worker is refused while the first lives, on another host for 15 s of silence."""
    desk.cursor()
    desk.now = 14.0
    answer = desk.attach("two")
    assert isinstance(answer, Refused)
    assert answer.code == "name_taken"
    assert desk.cursor("one") == 10
    desk.now = 29.5
    assert desk.cursor("two") == 10
    assert desk.commit(50, "one") == "name_taken"
    assert desk.commit(50, "two") == "done"


def test_a_dead_process_of_this_host_loses_its_name_at_once(desk: Desk) -> None:
    """A worker of this host that was killed can be started again at once, a frozen one not."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    desk.cursor(host=socket.gethostname(), pid=os.getpid())
    desk.now = 10.0**6
    assert isinstance(desk.attach("two"), Refused)
    process.wait()
    desk.cursor("one", host=socket.gethostname(), pid=process.pid)
    assert desk.cursor("two") == 10


def test_a_name_is_kept_over_a_restart(desk: Desk) -> None:
    """After a restart of the broker a worker goes on committing, others are refused its name."""
    desk.cursor()
    again = desk.again()
    assert isinstance(again.attach("two"), Refused)
    assert again.commit(50) == "done"
    assert again.commit(101) == "bad_request"
    assert again.workers.by_name["csv"].cursor == 50


def test_who_is_not_attached(desk: Desk) -> None:
    """A commit under a name that nobody holds is refused as unknown."""
    assert desk.commit(50) == "unknown"
    assert (desk.letter(1), desk.detach(done=True)) == ("refused", "refused")


def test_a_run_scoped_cursor_goes_with_its_run(desk: Desk, tmp_path: Path) -> None:
    """A run-scoped cursor is removed when its worker is done, and kept when it is not."""
    desk.cursor(run_scoped=True)
    desk.detach(done=False)
    assert len(desk.again().workers.by_name) == 1
    desk.cursor(run_scoped=True)
    desk.detach(done=True)
    assert desk.again().workers.by_name == {}
    assert list((tmp_path / "workers").iterdir()) == []


def test_dead_letters(desk: Desk) -> None:
    """Dead letters are kept with their error, the same one once, and outlive the worker."""
    desk.cursor(run_scoped=True)
    assert [desk.letter(offset) for offset in (5, 6, 5)] == ["done"] * 3
    desk.detach(done=True)
    again = desk.again()
    worker = again.workers.by_name["csv"]
    assert (worker.dead, worker.last_error) == (2, "no")
    again.cursor()
    again.letter(6)
    assert worker.dead == 2
    letters = again.workers.letters("csv")
    assert [(each["offset"], each["error"], each["topic"]) for each in letters] == [
        (5, "no", "t"),
        (6, "no", "t"),
    ]
    assert again.workers.letters("nobody") == []


def test_many_large_dead_letters_are_bounded(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit dead letters are counted and not kept (D10)."""
    monkeypatch.setattr("drytorch_broker.worker_files.MAX_DEAD_BYTES", 100_000)
    desk.cursor()
    for offset in range(50):
        desk.letter(offset, "x" * 9_000)
    assert desk.workers.by_name["csv"].dead == 50
    (path,) = (tmp_path / "workers").glob("*.dead")
    assert path.stat().st_size < 120_000


@pytest.mark.parametrize(
    "harm", [b"", b"\x80", b"\x93\x01\x02\x03", b"\xc1", b"\x81\xa4name\xa3csv"]
)
def test_a_damaged_cursor_file(desk: Desk, tmp_path: Path, harm: bytes) -> None:
    """A worker whose cursor file is damaged begins at the start; the file is kept aside (D13)."""
    desk.cursor()
    desk.commit(50)
    desk.workers.flush()
    (path,) = (tmp_path / "workers").glob("*.cursor")
    path.write_bytes(harm)
    again = Desk(tmp_path)
    assert again.cursor() == 10


@pytest.mark.parametrize("name", ["..", "/etc/passwd", "a/b", "\x00", "x" * 255, "CSV", "\u202e"])
def test_odd_names(desk: Desk, tmp_path: Path, name: str) -> None:
    """Any name has a cursor of its own inside the folder."""
    desk.cursor()
    desk.commit(20)
    desk.cursor(worker=name, instance="other")
    desk.commit(50, "other", worker=name)
    again = desk.again()
    assert {each.name: each.cursor for each in again.workers.by_name.values()} == {
        "csv": 20,
        name: 50,
    }
    assert len(list((tmp_path / "workers").iterdir())) == 2


def test_cursors_are_written_a_little_later(desk: Desk) -> None:
    """Commits reach the disk at most a quarter of a second later."""
    desk.cursor()
    desk.commit(50)
    desk.workers.tick(0.1)
    assert Desk(desk.folder).workers.by_name["csv"].cursor == 10
    desk.workers.tick(0.3)
    assert Desk(desk.folder).workers.by_name["csv"].cursor == 50


def test_the_lowest_cursor(desk: Desk) -> None:
    """The worker that is furthest behind holds back retention, one that is done does not."""
    assert desk.workers.lowest_cursor() is None
    desk.cursor()
    desk.commit(50)
    desk.cursor("x", worker="slow")
    assert desk.workers.lowest_cursor() == 10
    desk.workers.by_name["old"] = Worker("old", journal="other", cursor=1)
    desk.commit(70, "x", worker="slow")
    assert desk.workers.lowest_cursor() == 50
