"""The owed list: one file per worker that still has something to do, on this host.

A worker is put on the list before it is started. It holds the lock beside its file while it works,
and removes both when all is handled. So whoever comes later, the next client or `drytorch sync`,
knows which workers to start again: those on the list whose lock is free.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.errors import DecodingError, SchemaError
from drytorch_schemas.locations import owed_dir, private_folder
from drytorch_schemas.locks import FileLock
from drytorch_schemas.packing import pack, unpack

_SUFFIX: Final = ".msgpack"
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Owed:
    """A worker on the owed list.

    Attributes:
        file: its file.
        spec: what it is told.
        stopped: why it gave up, so that only `drytorch sync` starts it again; empty: it did not.
        starts: how often it was started since it last ended in an orderly way; counted for workers
            that can be split.
    """

    file: pathlib.Path
    spec: WorkerSpec
    stopped: str = ""
    starts: int = 0


def owed_file(worker: str) -> pathlib.Path:
    """Return the path of a worker's file.

    Args:
        worker: the worker's name, fit for a file's name.
    """
    return owed_dir() / f"{worker}{_SUFFIX}"


def put(spec: WorkerSpec, stopped: str = "", starts: int = 0) -> None:
    """Put a worker on the list, or write down why it stopped.

    Args:
        spec: the worker, with the path of its file in `owed`.
        stopped: why it gave up.
        starts: how often it was started since it last ended in an orderly way.

    Raises:
        LocationError: the list's folder cannot be used.
        OSError: the file cannot be written.
    """
    file = pathlib.Path(spec.owed)
    private_folder(file.parent)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(pack({"spec": spec.model_dump(), "stopped": stopped, "starts": starts}))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def read(file: pathlib.Path) -> Owed:
    """Return the worker that a file of the list stands for.

    Args:
        file: the file.

    Raises:
        WorkerSpecError: it is damaged.
        OSError: it cannot be read.
    """
    try:
        fields = unpack(file.read_bytes())
        spec = WorkerSpec.from_bytes(pack(fields["spec"]))
        return Owed(file, spec, str(fields["stopped"]), int(fields.get("starts", 0)))
    except (DecodingError, KeyError, TypeError, ValueError, WorkerSpecError) as error:
        raise WorkerSpecError(f"The owed worker's file {file} is damaged: remove it.") from error


def pending(older_than: float = 0.0, *, at_work: bool = False) -> Iterator[Owed]:
    """Yield the workers on the list that nobody runs at the moment, oldest file first.

    Args:
        older_than: only those put on the list so many seconds ago.
        at_work: also those that run; these may wait for a broker.
    """
    latest = time.time() - older_than
    with contextlib.suppress(OSError):
        for file in sorted(owed_dir().glob(f"*{_SUFFIX}"), key=_changed):
            with contextlib.suppress(OSError, SchemaError, WorkerSpecError):
                free = at_work or not FileLock.held_by_other(_lock_path(file))
                if free and _changed(file) <= latest:
                    yield read(file)


def claim(spec: WorkerSpec) -> FileLock | None:
    """Take the lock that says that a worker runs; called by the worker itself.

    Args:
        spec: the worker.

    Returns:
        The lock, to be kept until the worker ends; None where another process runs the same worker.

    Raises:
        LockUnsupportedError: the file system has no working flock.
        OSError: the lock's file cannot be made.
    """
    lock = FileLock(_lock_path(pathlib.Path(spec.owed)))
    return lock if lock.acquire() else None


def settle(spec: WorkerSpec, lock: FileLock | None = None) -> None:
    """Take a worker off the list: all is handled.

    Args:
        spec: the worker.
        lock: what `claim` returned.
    """
    file = pathlib.Path(spec.owed)
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
        if lock is not None:
            _lock_path(file).unlink(missing_ok=True)
    if lock is not None:
        lock.release()


def _lock_path(file: pathlib.Path) -> pathlib.Path:
    return file.with_suffix(_LOCK)


def _changed(file: pathlib.Path) -> float:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime
    return 0.0
