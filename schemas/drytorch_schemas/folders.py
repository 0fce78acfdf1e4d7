"""The folders of a user's state on a host, and who may enter them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from drytorch_schemas.errors import LocationError

LOCK_FILE: Final = "lock"
ENDPOINT_FILE: Final = "endpoint.json"
_OTHERS: Final = 0o077


def state_dir() -> Path:
    """Return the folder of this user's state on this host; homes are shared on clusters."""
    base = _xdg("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return base / "drytorch" / (os.uname().nodename or "localhost")


def journal_dir() -> Path:
    """Return the folder of the default journal."""
    return state_dir() / "journal"


def spool_dir() -> Path:
    """Return the folder that holds one folder per producer."""
    return state_dir() / "spool"


def owed_dir() -> Path:
    """Return the folder of workers that still have something to do."""
    return state_dir() / "owed"


def logs_dir() -> Path:
    """Return the folder of the workers' logs."""
    return state_dir() / "logs"


def runtime_dir() -> Path:
    """Return the folder of this user's sockets; in /tmp where there is no runtime folder."""
    base = _xdg("XDG_RUNTIME_DIR")
    return base / "drytorch" if base is not None and base.is_dir() else fallback_runtime_dir()


def fallback_runtime_dir() -> Path:
    """Return the folder of sockets that is short and always there."""
    return Path(f"/tmp/drytorch-{os.getuid()}")  # noqa: S108  # its owner is checked before use


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter, and its parents, and return it.

    Args:
        path: the folder.

    Raises:
        LocationError: it cannot be made, belongs to somebody else, or others may enter it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise LocationError(
            f"The folder {path} cannot be made ({error.strerror}): "
            f"make it, or set XDG_STATE_HOME to a folder that you may write to."
        ) from error
    check_private(path)
    return path


def check_private(path: Path) -> None:
    """Refuse a folder of somebody else, or one that others may enter.

    Args:
        path: an existing folder.

    Raises:
        LocationError: it is not there, not a folder, or not private.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise LocationError(
            f"The folder {path} cannot be used ({error.strerror}): make it with mode 0700."
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise LocationError(f"{path} is not a folder: move it away.")
    if found.st_uid != os.geteuid():
        raise LocationError(f"The folder {path} belongs to another user: remove or rename it.")
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise LocationError(f"Others may enter the folder {path}: run `chmod 700` on it.")


def _xdg(variable: str) -> Path | None:
    """Return the folder that a variable names; the specification ignores relative ones."""
    folder = Path(os.environ.get(variable, ""))
    return folder if folder.is_absolute() else None
