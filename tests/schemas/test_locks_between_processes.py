"""Locks that the kernel keeps: between processes, across fork and exec, without stale files."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drytorch_schemas.errors import LockUnsupportedError
from drytorch_schemas.locks import FileLock

HOLD = """
import sys
from pathlib import Path
from drytorch_schemas.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""
TRY = """
import sys
from pathlib import Path
from drytorch_schemas.locks import FileLock
path = Path(sys.argv[1])
print(FileLock.held_by_other(path), FileLock(path).acquire())
"""


def open_files(process: int) -> set[Path]:
    """Return the files that a process has open."""
    found = set()
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(entry.readlink())
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a lock file that is not there."""
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def another_process_sees(path: Path) -> str:
    """Return what a new process sees: whether the lock is held, and whether it gets it."""
    command = [sys.executable, "-c", TRY, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_one_owner_at_a_time(path: Path, holder: subprocess.Popen[str]) -> None:
    """While another process holds the lock nobody gets it; when it ends in order anybody does."""
    lock = FileLock(path)
    assert FileLock.held_by_other(path)
    assert not lock.acquire()
    assert not lock.held
    assert holder.stdin is not None
    holder.stdin.close()
    assert holder.wait(10) == 0
    assert not FileLock.held_by_other(path)
    assert lock.acquire()
    lock.release()


def test_a_killed_owner_leaves_no_lock(path: Path, holder: subprocess.Popen[str]) -> None:
    """The file that a killed owner leaves behind locks nobody out."""
    holder.kill()
    holder.wait(10)
    assert path.exists()
    assert another_process_sees(path) == "False True"


def test_release(path: Path) -> None:
    """A lock can be released and taken again, by the same object and by others."""
    lock = FileLock(path)
    for _ in range(2):
        assert lock.acquire()
        assert lock.acquire()
        assert another_process_sees(path) == "True False"
        lock.release()
        lock.release()
        assert another_process_sees(path) == "False True"


def test_two_objects_of_one_process(path: Path) -> None:
    """Two objects exclude each other also within one process."""
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert FileLock.held_by_other(path)
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_looking_takes_nothing(path: Path) -> None:
    """Asking for the owner makes no file and keeps nobody from the lock."""
    assert not FileLock.held_by_other(path)
    assert not path.exists()
    assert not FileLock.held_by_other(path / "below")
    path.touch()
    assert not FileLock.held_by_other(path)
    lock = FileLock(path)
    assert lock.acquire()
    lock.release()


def test_a_forked_child_has_no_lock(path: Path) -> None:
    """A forked child does not hold its parent's lock, and its end does not release it."""
    lock = FileLock(path)
    assert lock.acquire()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, f"{lock.held} {FileLock(path).acquire()}".encode())
        lock.release()
        os._exit(0)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reader, 100) == b"False False"
    os.close(reader)
    assert lock.held
    assert another_process_sees(path) == "True False"
    lock.release()


def test_a_living_child_does_not_keep_the_lock(path: Path) -> None:
    """A forked child that lives on does not keep the lock that its parent released."""
    lock = FileLock(path)
    assert lock.acquire()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    try:
        # the child closes its copy in its own time
        deadline = time.monotonic() + 10
        while path in open_files(child) and time.monotonic() < deadline:
            time.sleep(0.001)
        lock.release()
        assert another_process_sees(path) == "False True"
    finally:
        os.close(writer)
        os.waitpid(child, 0)


def test_programs_that_are_started_do_not_inherit_it(path: Path) -> None:
    """A program that is started, with all descriptors passed on, does not keep the lock."""
    lock = FileLock(path)
    assert lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as process:
        lock.release()
        assert another_process_sees(path) == "False True"
        assert process.stdin is not None
        process.stdin.close()


def test_a_removed_file_is_no_lock(path: Path) -> None:
    """Whoever locks after the file was removed locks the new file, and the old owner nothing."""
    old = FileLock(path)
    assert old.acquire()
    path.unlink()
    new = FileLock(path)
    assert new.acquire()
    assert another_process_sees(path) == "True False"
    old.release()
    assert another_process_sees(path) == "True False"
    new.release()


def test_removed_between_opening_and_locking(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its last owner removes while it is being locked is locked anew."""
    real = fcntl.flock
    calls: list[int] = []

    def flock(descriptor: int, how: int) -> None:
        if not calls:
            path.unlink()
        calls.append(how)
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = FileLock(path)
    assert lock.acquire()
    monkeypatch.undo()
    assert len(calls) == 2
    assert another_process_sees(path) == "True False"
    lock.release()


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    """The file is made for its owner only."""
    lock = FileLock(path)
    assert lock.acquire()
    assert path.stat().st_mode & 0o077 == 0
    lock.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_flock(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A file system without flock is named in one sentence, and no descriptor stays open."""

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(LockUnsupportedError, match=str(path.parent)):
        FileLock(path).acquire()
    path.touch()
    with pytest.raises(LockUnsupportedError):
        FileLock.held_by_other(path)
    assert path not in open_files(os.getpid())


def test_without_a_folder(path: Path) -> None:
    """A lock in a folder that is not there is the error that Python has for it."""
    with pytest.raises(FileNotFoundError):
        FileLock(path.parent / "none" / "lock").acquire()


def test_a_lock_lasts_also_when_forgotten(path: Path) -> None:
    """A lock that nobody released stays, for this process alone and not for a forked child."""
    assert FileLock(path).acquire()
    assert another_process_sees(path) == "True False"
    child = os.fork()
    if child == 0:
        os._exit(int(path in open_files(os.getpid())))
    assert os.waitpid(child, 0)[1] == 0
