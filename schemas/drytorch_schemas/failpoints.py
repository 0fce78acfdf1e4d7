"""Places at which a test can have the process killed; they cost nothing when none is armed."""

from __future__ import annotations

import os
import signal
from typing import BinaryIO, Final

#: The environment variable: `name`, or `name:count` for the count-th time.
VARIABLE: Final = "DRYTORCH_FAILPOINT"


class Failpoints:
    """Those that are armed in this process; `get` gives None where none is."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._left = count

    @classmethod
    def get(cls) -> Failpoints | None:
        """Return what the environment arms, None for nothing."""
        text = os.environ.get(VARIABLE)
        if not text:
            return None
        name, _, count = text.partition(":")
        return cls(name, int(count or 1))

    def hit(self, name: str) -> None:
        """Kill this process, as `kill -9` does, where this place is armed.

        Args:
            name: name of the place.
        """
        if self._fires(name):
            os.kill(os.getpid(), signal.SIGKILL)

    def torn(self, name: str, file: BinaryIO, data: bytes) -> None:
        """Write half of the data, then kill this process, where this place is armed.

        Args:
            name: name of the place.
            file: an unbuffered file.
            data: what is about to be written.
        """
        if self._fires(name):
            file.write(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    def torn_at(self, name: str, descriptor: int, data: bytes, position: int) -> None:
        """Write half of the data to a place of a file, then kill, where this place is armed.

        Args:
            name: name of the place.
            descriptor: the open file.
            data: what is about to be written.
            position: where to, bytes.
        """
        if self._fires(name):
            os.pwrite(descriptor, data[: len(data) // 2], position)
            os.kill(os.getpid(), signal.SIGKILL)

    def _fires(self, name: str) -> bool:
        if name != self._name:
            return False
        self._left -= 1
        return self._left == 0
