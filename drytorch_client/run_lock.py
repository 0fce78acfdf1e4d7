"""Whether the process of a recorded run still lives, told by a lock that the kernel keeps.

`<par_dir>/.drytorch/<experiment>/<run id>.running` is there and locked while the run is running. It
holds the host's name: the lock of another host is not always to be seen from here.
"""

from __future__ import annotations

import contextlib
import pathlib
import socket
from typing import Final

from drytorch_schemas.errors import LockUnsupportedError
from drytorch_schemas.locks import FileLock


class RunLock:
    """The lock of one run that this process runs."""

    def __init__(self, file: pathlib.Path) -> None:
        """Initialize.

        Args:
            file: the lock's file.
        """
        self._lock: Final = FileLock(file)

    def take(self) -> None:
        """Hold the lock, where its file system has locks and no other process holds it."""
        with contextlib.suppress(OSError, LockUnsupportedError):
            self._lock.path.parent.mkdir(parents=True, exist_ok=True)
            if self._lock.acquire():
                self._lock.path.write_text(socket.gethostname())

    def give_back(self) -> None:
        """Remove the file and release the lock, where it is held."""
        if self._lock.held:
            with contextlib.suppress(OSError):
                self._lock.path.unlink(missing_ok=True)
            self._lock.release()


def is_dead(file: pathlib.Path) -> bool:
    """Tell whether a process of this host held a run's lock, and died with it.

    Args:
        file: the lock's file.
    """
    try:
        same_host = file.read_text() == socket.gethostname()
        return same_host and not FileLock.held_by_other(file)
    except (OSError, ValueError, LockUnsupportedError):
        return False
