"""Make files and their names survive the loss of power."""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from pathlib import Path

from drytorch_schemas.failpoints import Failpoints


def sync_file(path: Path) -> None:
    """Wait until what was written to a file is on disk.

    Args:
        path: the file; nothing happens where somebody removed it.
    """
    _sync(path, os.O_RDWR)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on disk.

    Args:
        path: the folder; nothing happens where somebody removed it.
    """
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def write(path: Path, data: bytes, failpoints: Failpoints | None = None) -> None:
    """Write a whole file: after a crash there is the old content or the new one.

    Args:
        path: the file.
        data: its content.
        failpoints: where a test has this process killed.

    Raises:
        OSError: the disk did not take all of it; the old content stays.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb", buffering=0) as file:
            if failpoints is not None:
                failpoints.torn("whole.torn", file, data)
            _put(file, data)
        sync_file(new)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    if failpoints is not None:
        failpoints.hit("whole.ready")
    new.replace(path)
    if failpoints is not None:
        failpoints.hit("whole.moved")
    sync_folder(path.parent)


def _put(file: FileIO, data: bytes) -> None:
    written = file.write(data)
    if written != len(data):
        raise OSError(f"{file.name} took {written} of {len(data)} bytes: is the disk full?")


def _sync(path: Path, flags: int) -> None:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
