"""Make files and their names survive the loss of power."""

from __future__ import annotations

import os
from pathlib import Path


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


def write(path: Path, data: bytes) -> None:
    """Write a whole file: after a crash there is the old content or the new one.

    Args:
        path: the file.
        data: its content.
    """
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    sync_file(new)
    new.replace(path)
    sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
