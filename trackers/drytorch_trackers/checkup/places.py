"""The folders of this user: whether they can be used, and how much room is left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from drytorch_client.broker_address import local_endpoint
from drytorch_schemas.endpoint import MAX_SOCKET_PATH
from drytorch_schemas.errors import LocationError, LockUnsupportedError
from drytorch_schemas.folders import (
    check_private,
    fallback_runtime_dir,
    journal_dir,
    logs_dir,
    owed_dir,
    runtime_dir,
    spool_dir,
    state_dir,
)
from drytorch_schemas.locks import FileLock
from drytorch_trackers.checkup.finding import Finding
from drytorch_trackers.wording import short, size

#: Less room than this is a problem: one spool's segment and the last events of some runs, bytes.
LOW_ROOM: Final = 256 << 20


def state() -> Finding:
    """Return whether the state folder can be used, and the room on its disk."""
    folder = state_dir()
    base = _existing(folder)
    free = shutil.disk_usage(base).free
    problems = _faults(folder)
    flock = True
    try:
        FileLock.held_by_other(base)  # opens the folder only to look
    except LockUnsupportedError as error:
        flock = False
        problems.append(str(error))
    if free < LOW_ROOM:
        problems.append(
            f"Only {size(free)} are free on the disk of {short(base)}: make room, or point "
            f"XDG_STATE_HOME to another disk."
        )
    begun = "" if folder.is_dir() else ", not made yet"
    locks = "flock works" if flock else "no flock"
    return Finding(
        "state",
        f"{short(folder)}{begun}; {locks}, {size(free)} free",
        problems,
        {"folder": str(folder), "exists": folder.is_dir(), "flock": flock, "free_bytes": free},
    )


def sockets() -> Finding:
    """Return where the sockets of this user's own broker are, or will be."""
    folder = local_endpoint().folder
    if folder is None:  # it was started with a TCP address
        return Finding("sockets", "on TCP ports", facts={"folder": None})
    length = len(os.fsencode(folder / "control.sock"))
    problems = _faults(folder.parent) if folder.is_relative_to(runtime_dir()) else []
    problems += _faults(fallback_runtime_dir())
    return Finding(
        "sockets",
        f"{short(folder)} ({length} of at most {MAX_SOCKET_PATH} bytes)",
        list(dict.fromkeys(problems)),
        {"folder": str(folder), "path_bytes": length, "max_path_bytes": MAX_SOCKET_PATH},
    )


def _faults(folder: Path) -> list[str]:
    """Return what keeps this user from using a folder, or from making it."""
    base = _existing(folder)
    if base != folder:
        if base.is_dir() and os.access(base, os.W_OK | os.X_OK):
            return []
        problem = (
            f"The folder {folder} cannot be made, because {base} is not a folder that you may "
            f"write to: change its permissions, or set XDG_STATE_HOME to another one."
        )
        return [problem]
    try:
        check_private(folder)
    except LocationError as error:
        return [str(error)]
    if os.access(folder, os.W_OK | os.X_OK):
        return []
    return [f"The folder {folder} cannot be written to: change its permissions."]


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest of its parents that is there."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def subfolders() -> list[Finding]:
    """Return a finding for each folder in the state folder that is in a bad way."""
    found = []
    for folder in (journal_dir(), spool_dir(), owed_dir(), logs_dir()):
        if os.path.lexists(folder):
            faults = _faults(folder)
            if faults:
                found.append(Finding(folder.name, short(folder), faults, {"folder": str(folder)}))
    return found
