"""Wakes the sender thread from a long sleep."""

from __future__ import annotations

import contextlib
import os


class Waker:
    """A pipe: a byte in it wakes whoever polls its reading end. Never blocks."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Return the descriptor to poll for reading."""
        return self._read

    def wake(self) -> None:
        """Wake the sleeper; a full or closed pipe has woken it before."""
        with contextlib.suppress(OSError):
            os.write(self._write, b"\0")

    def drain(self) -> None:
        """Take out what woke the sleeper."""
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._read, 4096)) == 4096:  # noqa: PLR2004  # the size asked for
                pass

    def close(self) -> None:
        """Close both ends; doing it twice does no harm."""
        read, write, self._read, self._write = self._read, self._write, -1, -1
        for descriptor in (read, write):
            if descriptor >= 0:
                os.close(descriptor)
