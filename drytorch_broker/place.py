"""The journal's folder: making it, checking it, and owning it."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from drytorch_broker.errors import (
    AlreadyRunningError,
    BrokerError,
    ConfigurationError,
    PermissionRefusedError,
    StorageError,
)
from drytorch_schemas.endpoint import read_endpoint
from drytorch_schemas.errors import LocationError, LockUnsupportedError
from drytorch_schemas.folders import LOCK_FILE, journal_dir, private_folder
from drytorch_schemas.locks import FileLock

#: How long to try the lock: a broker that is leaving holds it for a moment, seconds.
LOCK_PATIENCE: Final = 1.0
_REFUSED: Final = (errno.EACCES, errno.EPERM)


def prepare(folder: Path) -> None:
    """Make the journal's folder where it is missing, and see that it can be written.

    Args:
        folder: the folder.

    Raises:
        PermissionRefusedError: the user may not write there.
        StorageError: writing fails.
        ConfigurationError: the user's own folder is not private.
    """
    try:
        if folder == journal_dir():
            private_folder(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except LocationError as error:
        raise _located(error) from error
    except OSError as error:
        raise refusal(folder, error) from error


def own(folder: Path) -> FileLock:
    """Take the journal's lock.

    Args:
        folder: the journal's folder.

    Raises:
        AlreadyRunningError: another broker holds it.
        ConfigurationError: the file system has no working flock.
        PermissionRefusedError: the user may not write there.
        StorageError: writing fails.
    """
    lock = FileLock(folder / LOCK_FILE)
    end = time.monotonic() + LOCK_PATIENCE
    try:
        while not lock.acquire():
            if time.monotonic() > end:
                raise AlreadyRunningError(_who_runs(folder))
            time.sleep(0.02)
    except LockUnsupportedError as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:
        raise refusal(folder, error) from error
    return lock


def _who_runs(folder: Path) -> str:
    other = read_endpoint(folder)
    where = f" (process {other.pid}, listening on {other.url})" if other else ""
    return (
        f"A broker is already running on {folder}{where}: "
        f"stop it with `drytorch-broker stop`, or choose another --journal."
    )


def _located(error: LocationError) -> BrokerError:
    cause = error.__cause__
    if isinstance(cause, OSError):
        kind = PermissionRefusedError if cause.errno in _REFUSED else StorageError
        return kind(str(error))
    return ConfigurationError(str(error))


def refusal(folder: Path, error: OSError) -> BrokerError:
    """Return the error that tells a user why a folder cannot be used.

    Args:
        folder: the folder.
        error: what the system said.
    """
    if error.errno in _REFUSED:
        return PermissionRefusedError(
            f"You may not write to {folder}: change its permissions, or choose another --journal."
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(
        f"The folder {folder} cannot be written ({reason}): choose another --journal."
    )
