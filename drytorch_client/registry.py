"""The registry of an experiment's runs: `runs.json` as DRYTorch writes it, and the runs' UUIDs.

`<par_dir>/.drytorch/<experiment>/runs.json` is a list of maps with the keys id, status, timestamp
and commit. Writers take the lock `runs.json.lock` and replace the file as a whole.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

from drytorch_client.errors import RegistryError, RegistryWarning
from drytorch_client.naming import default_run_id
from drytorch_client.run_lock import RunLock, is_dead
from drytorch_schemas.errors import LockUnsupportedError
from drytorch_schemas.events import Status
from drytorch_schemas.locks import FileLock

FOLDER: Final = ".drytorch"
FILE: Final = "runs.json"
_LOCK_SECONDS: Final = 10.0  # longest wait for another process that writes a few hundred bytes
_LOCK_PAUSE: Final = 0.01
_GIT_SECONDS: Final = 5.0
_MAX_STEM: Final = 200  # bytes; a file's name may have 255, suffixes included


class RunRegistry:
    """The runs of one experiment in one parent folder.

    Attributes:
        file: path of `runs.json`.
    """

    def __init__(self, par_dir: pathlib.Path, experiment: str) -> None:
        """Initialize.

        Args:
            par_dir: the experiment's parent folder.
            experiment: name of the experiment.
        """
        self.file: Final = par_dir / FOLDER / experiment / FILE

    def load(self) -> list[dict[str, Any]]:
        """Return the entries, oldest first; none where there is no file or it is not readable JSON.

        Raises:
            RegistryError: the file may not be read.
        """
        try:
            found = json.loads(self.file.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
            return []
        except OSError as error:
            raise self._error("read", error) from error
        entries = found if isinstance(found, list) else []
        return [entry for entry in entries if isinstance(entry, dict)]

    def ids(self) -> list[str]:
        """Return the ids of all runs, oldest first.

        Raises:
            RegistryError: the file may not be read.
        """
        return [str(entry.get("id")) for entry in self.load()]

    def reserve(
        self, run_id: str | None, created: datetime.datetime, suffix: Callable[[str], str] = str
    ) -> str | None:
        """Record a new run, and return its id.

        Args:
            run_id: the id; None for one made of the time, with `_1`, `_2` where it is taken.
            created: the run's local time.
            suffix: what is to be done to the id before it is looked up.

        Returns:
            The id; None where the given one is taken.

        Raises:
            RegistryError: the registry cannot be written.
        """
        commit = self._commit()
        timestamp = default_run_id(created)
        with self._locked():
            entries = self._ended(self.load())
            taken = {entry.get("id") for entry in entries}
            wanted = given = suffix(timestamp if run_id is None else run_id)
            number = 0
            while given in taken and run_id is None:
                number += 1
                given = f"{wanted}_{number}"
            if given in taken:
                return None
            entry = {"id": given, "status": "created", "timestamp": timestamp, "commit": commit}
            self._write([*entries, entry])
        return given

    def update_status(self, run_id: str, status: Status) -> None:
        """Write a run's status.

        Args:
            run_id: the run.
            status: the status.

        Raises:
            RegistryError: the registry cannot be written, or has no such run.
        """
        with self._locked():
            entries = self.load()
            for entry in entries:
                if entry.get("id") == run_id:
                    entry["status"] = status
                    break
            else:
                raise RegistryError(f"Run {run_id} is not in {self.file}: was the file replaced?")
            self._write(entries)

    def lock_of(self, run_id: str) -> RunLock | None:
        """Return the lock to be held while a run is running, None where nobody looks.

        Args:
            run_id: the run.
        """
        return RunLock(self._lock_file(run_id))

    def run_uuid(self, run_id: str, *, resumed: bool) -> str:
        """Return the run's UUID, 32 hexadecimal digits, after writing it where it is a new one.

        Args:
            run_id: the run.
            resumed: whether the run goes on under the UUID that it has, if it has one.

        Raises:
            RegistryError: the UUID's file cannot be written.
        """
        known = self.known_uuid(run_id) if resumed else None
        if known is not None:
            return known
        fresh = uuid.uuid4().hex
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._uuid_file(run_id), fresh + "\n")
        except OSError as error:
            raise self._error("write", error) from error
        return fresh

    def known_uuid(self, run_id: str) -> str | None:
        """Return the UUID that a run has, None where it has none that can be read.

        Args:
            run_id: the run.
        """
        try:
            return uuid.UUID(self._uuid_file(run_id).read_text().strip()).hex
        except (OSError, ValueError):
            return None

    def _ended(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Mark the runs as failed that were running when their process died."""
        for entry in entries:
            lock = self._lock_file(str(entry.get("id")))
            if entry.get("status") == "running" and is_dead(lock):
                entry["status"] = "failed"
                lock.unlink(missing_ok=True)
        return entries

    def _lock_file(self, run_id: str) -> pathlib.Path:
        return self.file.parent / f"{_file_name(run_id)}.running"

    def _commit(self) -> str | None:
        return last_commit()

    def _uuid_file(self, run_id: str) -> pathlib.Path:
        return self.file.parent / f"{_file_name(run_id)}.uuid"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the registry's lock."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.file.with_suffix(".json.lock"))
            with _held(lock, self.file):
                yield
        except OSError as error:
            raise self._error("write", error) from error

    def _write(self, entries: list[dict[str, Any]]) -> None:
        self._keep_unreadable()
        _replace(self.file, json.dumps(entries, indent=2))

    def _keep_unreadable(self) -> None:
        """Put a file aside that is about to be replaced and that nobody could read."""
        with contextlib.suppress(OSError):
            try:
                readable = isinstance(json.loads(self.file.read_bytes()), list)
            except (ValueError, RecursionError):
                readable = False
            if not readable and self.file.stat().st_size:
                self.file.replace(self.file.with_suffix(".json.unreadable"))

    def _error(self, verb: str, error: OSError) -> RegistryError:
        return RegistryError(
            f"Cannot {verb} the registry of runs in {self.file.parent} ({error.strerror}): "
            f"check the folder, or choose another par_dir."
        )


@contextlib.contextmanager
def _held(lock: FileLock, file: pathlib.Path) -> Iterator[None]:
    """Wait for the lock; where the file system has none, go on without and say so."""
    until = time.monotonic() + _LOCK_SECONDS
    try:
        while not lock.acquire():
            if time.monotonic() > until:
                raise RegistryError(
                    f"Another process holds the lock of {file} for more than {_LOCK_SECONDS:.0f} "
                    f"seconds: end it, or choose another par_dir."
                )
            time.sleep(_LOCK_PAUSE)
    except LockUnsupportedError:
        warnings.warn(
            RegistryWarning(f"{file} is written without a lock: its file system has none."),
            stacklevel=2,
        )
    try:
        yield
    finally:
        lock.release()


def _file_name(run_id: str) -> str:
    """Return a run's id as the stem of a file name; a digest where the id is too long for that."""
    if len(run_id.encode()) <= _MAX_STEM:
        return run_id
    return hashlib.sha256(run_id.encode()).hexdigest()


def _replace(file: pathlib.Path, text: str) -> None:
    """Write a file as a whole, so that a reader sees the old text or the new one."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_text(text)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def last_commit() -> str | None:
    """Return the hash of the last git commit of the current folder; None where there is none."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, "rev-parse", "HEAD"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
