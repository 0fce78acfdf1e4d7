"""A folder of files that is there as a whole or not at all, also after a kill in the middle."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pathlib
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from typing import IO, Final

#: A folder that is being written.
_PART: Final = re.compile(r"\.part-[0-9a-f]{32}")
#: Ends the names of the files that a save replaces; whatever else lies in the folder stays.
STATE: Final = "_state.pt"
#: A part without a change for so long was left by a process that is gone, seconds.
ABANDONED: Final = 3600.0
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def write_folder(
    files: Mapping[str, Callable[[IO[bytes]], object]], place: pathlib.Path, beside: pathlib.Path
) -> None:
    """Write files into a folder of their own, then put it into its place in one step.

    Args:
        files: what writes each file, by name; the first file is the one by which a reader knows
            that the folder holds something.
        place: the folder; the states that it held before are replaced.
        beside: where the part lies meanwhile, on the same file system.

    Raises:
        OSError: something cannot be written; the place is as it was before.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(beside)
    part = beside / f".part-{uuid.uuid4().hex}"
    part.mkdir()
    try:
        for name, write in files.items():
            with (part / name).open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        _put(part, place, list(files))
        _sync(place.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_abandoned(beside: pathlib.Path) -> None:
    """Remove the parts that killed processes left.

    Args:
        beside: where parts lie.
    """
    oldest = time.time() - ABANDONED
    for part in beside.glob(".part-*"):
        if not _PART.fullmatch(part.name):
            continue  # a model's own folder
        with contextlib.suppress(OSError):
            if max(each.stat().st_mtime for each in (part, *part.iterdir())) < oldest:
                shutil.rmtree(part, ignore_errors=True)


def _put(part: pathlib.Path, place: pathlib.Path, names: list[str]) -> None:
    """Put the part into its place."""
    try:
        part.rename(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _exchange(part, place):
            _keep_others(part, place)
        else:
            _replace_one_by_one(part, place, names)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Exchange two folders in one step; tell whether this system can."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    done: int = rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
    return done == 0


def _keep_others(before: pathlib.Path, place: pathlib.Path) -> None:
    """Bring back what a user has put into the folder."""
    for other in before.iterdir():
        if not other.name.endswith(STATE):
            with contextlib.suppress(OSError):
                other.rename(place / other.name)


def _replace_one_by_one(part: pathlib.Path, place: pathlib.Path, names: list[str]) -> None:
    """Replace the files of a folder, where it cannot be exchanged as a whole.

    A kill in the middle leaves a folder without the first file, which no reader takes.
    """
    first, *others = names
    (place / first).unlink(missing_ok=True)
    for name in others:
        (part / name).replace(place / name)
    for left in {file.name for file in place.glob(f"*{STATE}")} - set(names):
        (place / left).unlink()
    (part / first).replace(place / first)


def _sync(folder: pathlib.Path) -> None:
    """Make the names in a folder safe against a power failure, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
