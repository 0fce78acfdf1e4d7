"""What a folder may hold after a power cut: sectors, names and removals that nobody waited for."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: What a disk writes as a whole, bytes.
SECTOR = 512
_open = os.open


#: What changes a disk, or waits for it.
CALLS = ("fsync", "fdatasync", "ftruncate", "open", "pwrite", "replace", "truncate", "unlink")


class PowerCutError(BaseException):
    """The power is gone; nobody can catch that by accident."""


class ProcessKilledError(BaseException):
    """The process is killed, what it wrote is in the kernel."""


class Disk:
    """Watches fsync and fdatasync, and remembers what they made durable in one folder.

    Attributes:
        left: how many calls the power lasts; with `at`, how many of those.
        kills: whether whoever waits for the disk next is killed while it does.
    """

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, left: int, at: str | None = None
    ) -> None:
        self.left = left
        self.kills = False
        self._at = at
        self._folder = folder
        self._names: dict[str, int] = {}
        self._contents: dict[int, bytes] = {}
        self._held: dict[int, int] = {}  # open, so that no other file gets the same inode
        for name in CALLS:
            patch.setattr(os, name, self._counting(getattr(os, name)))

    def _counting(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.left <= 0:
                raise PowerCutError
            if self._at in {None, real.__name__}:
                self.left -= 1
            if real.__name__ in {"fsync", "fdatasync"}:
                return self._sync(*arguments)
            return real(*arguments, **options)

        return call

    def _sync(self, descriptor: int) -> None:
        if self.kills:
            self.kills = False
            raise ProcessKilledError
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        self._hold()
        if path == self._folder:
            self._names = {each.name: each.stat().st_ino for each in self._files()}
        elif path.parent == self._folder:
            self._contents[os.fstat(descriptor).st_ino] = path.read_bytes()

    def _files(self) -> list[Path]:
        return [each for each in self._folder.iterdir() if each.is_file()]

    def durable(self, inode: int) -> bytes:
        """Return what of a file is certainly on disk."""
        return self._contents.get(inode, b"")

    def _hold(self) -> None:
        for each in self._files():
            inode = each.stat().st_ino
            if inode not in self._held:
                self._held[inode] = _open(each, os.O_RDONLY)

    def after_the_cut(self, target: Path, chance: random.Random) -> None:
        """Make a folder as it may be after a power cut now; nothing can be watched any more.

        Args:
            target: the folder to be made.
            chance: decides about everything that nobody waited for.
        """
        target.mkdir()
        self._hold()
        now = {each.name: each.stat().st_ino for each in self._files()}
        for name in sorted(now.keys() | self._names.keys()):
            inode = chance.choice([now.get(name), self._names.get(name)])
            if inode is not None:
                old = self.durable(inode)
                new = os.pread(self._held[inode], 1 << 30, 0)
                (target / name).write_bytes(_mixed(old, new, chance))
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def _mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Return a file of which any sector that was not synced may be old, new, or zero."""
    size = chance.choice([len(old), len(new), chance.randint(*sorted((len(old), len(new))))])
    sectors = bytearray()
    for start in range(0, size, SECTOR):
        end = min(start + SECTOR, size)
        chosen = chance.choice([old, new])[start:end]
        sectors += chosen.ljust(end - start, b"\0")
    return bytes(sectors)
