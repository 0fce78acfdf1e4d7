"""Ownership of a file by one living process, kept by the kernel: no stale locks, no pid files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Final

from drytorch_schemas.errors import LockUnsupportedError

_UNSUPPORTED: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
#: A child that is forked between opening and noting a descriptor would keep it.
_no_fork: Final = threading.RLock()
_BUSY: Final = {errno.EWOULDBLOCK, errno.EACCES}


class FileLock:
    """A lock on a file that lasts as long as the process, or until it is released.

    The file itself stays when the lock is released; whoever removes it must hold the lock.
    Descriptors are closed on exec, and in a forked child at once: the child never holds its
    parent's lock.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock without waiting; make the file, for its owner only, where it is not there.

        Returns:
            Whether it is held now; False: somebody else holds it.

        Raises:
            LockUnsupportedError: the file system has no working flock.
            OSError: the file cannot be opened, for example because its folder is not there.
        """
        with _no_fork:
            while self._descriptor is None:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    if not _flock(descriptor, fcntl.LOCK_EX, self.path):
                        return False
                    # else its last owner removed the file between our two calls
                    if _is_at(descriptor, self.path):
                        self._descriptor = os.dup(descriptor)
                        _held.add(self)
                finally:
                    os.close(descriptor)
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self._descriptor is not None:
            with _no_fork:
                os.close(self._descriptor)
                self._descriptor = None
                _held.discard(self)

    @staticmethod
    def held_by_other(path: Path) -> bool:
        """Tell whether anybody holds the lock of a file, be it an other object of this process.

        Raises:
            LockUnsupportedError: the file system has no working flock.
            OSError: the file is there and cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            # shared, so that two who look do not take each other for an owner
            return not _flock(descriptor, fcntl.LOCK_SH, path)
        finally:
            os.close(descriptor)


#: A lock lasts until it is released, also when nobody keeps its object.
_held: set[FileLock] = set()


def _flock(descriptor: int, how: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        if error.errno in _UNSUPPORTED:
            raise LockUnsupportedError(
                f"The file system of {path.parent} has no working flock ({error.strerror}): "
                f"choose a folder on a local disk."
            ) from error
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _close_in_child() -> None:
    # closing a copy of the descriptor leaves the parent's lock alone; unlocking would not
    for lock in list(_held):
        if lock._descriptor is not None:  # noqa: SLF001  # the hook of this very class
            with contextlib.suppress(OSError):
                os.close(lock._descriptor)  # noqa: SLF001  # as above
            lock._descriptor = None  # noqa: SLF001  # as above
    _held.clear()
    _no_fork.release()


os.register_at_fork(
    before=_no_fork.acquire,
    after_in_parent=_no_fork.release,
    after_in_child=_close_in_child,
)
