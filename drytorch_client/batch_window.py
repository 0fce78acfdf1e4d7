"""The batches of a producer that are not acknowledged: the newest in memory, older in the spool."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import Protocol

from drytorch_schemas.spool_files import Batch


class SpoolLike(Protocol):
    """What the uplink needs of a spool."""

    @property
    def oldest(self) -> int | None:
        """The oldest sequence number in it, None where it is empty."""

    def read(self, seq: int) -> list[Batch]:
        """Return batches from the one on that holds a sequence number; none where it is gone."""

    def trim(self, durable: int) -> None:
        """Give up what is acknowledged."""

    def lose(self, seq: int) -> int | None:
        """Give up the file that cannot be read; return the first number behind it, if any."""


class BatchWindow:
    """Finds batches by sequence number.

    Attributes:
        size: bytes of bodies in memory.
        unspooled: how many of these are nowhere else.
    """

    def __init__(self, spool: SpoolLike, max_bytes: int) -> None:
        """Initialize.

        Args:
            spool: where older batches lie.
            max_bytes: most bytes in memory of what also lies in the spool.
        """
        self.size = 0
        self.unspooled = 0
        self._spool = spool
        self._max_bytes = max_bytes
        self._firsts: list[int] = []
        self._batches: list[Batch] = []
        self._in_spool: list[bool] = []
        self._read_back: list[Batch] = []
        self._gaps: list[tuple[int, int]] = []

    def add(self, batch: Batch, *, spooled: bool) -> None:
        """Add the newest batch.

        Args:
            batch: the batch.
            spooled: whether it lies in the spool too.
        """
        self._firsts.append(batch.first)
        self._batches.append(batch)
        self._in_spool.append(spooled)
        self.size += len(batch.body)
        self.unspooled += 0 if spooled else len(batch.body)
        if self.size > self._max_bytes:
            self._shrink()

    def oldest(self, upcoming: int, durable: int) -> int:
        """Return the oldest sequence number that is held and not before a gap that matters.

        Args:
            upcoming: what to return where none is held.
            durable: the last acknowledged number; what is gone right behind it never comes.
        """
        spooled = self._spool.oldest
        found = self._firsts[0] if self._firsts else upcoming
        found = found if spooled is None else min(spooled, found)
        for first, last in self._gaps:
            if first <= max(durable + 1, found):
                found = max(found, last + 1)
        return found

    def find(self, seq: int) -> Batch | None:
        """Return the batch that holds a sequence number, None where it is gone."""
        place = bisect.bisect_right(self._firsts, seq) - 1
        if place >= 0:
            found = self._batches[place]
            return found if seq < found.first + found.count else None
        again = _holding(self._read_back, seq)
        if again is None and not self._known_gap(seq):
            self._read_back = self._spool.read(seq)
            again = _holding(self._read_back, seq)
        return again

    def behind_gap(self, seq: int, upcoming: int) -> tuple[int, bool]:
        """Return the next number that is held behind one that is gone.

        Args:
            seq: a number that `find` did not find.
            upcoming: what to return where nothing is held behind it.

        Returns:
            That number, and whether the gap was known before.
        """
        if behind := self._known_gap(seq):
            return behind, True
        behind = next((first for first in self._firsts if first > seq), upcoming)
        readable = self._spool.read(seq)
        spooled = readable[0].first if readable else self._spool.lose(seq)
        if spooled is not None:
            behind = min(behind, spooled)
        self._gaps = sorted([*self._gaps, (seq, behind - 1)])
        return behind, False

    def _known_gap(self, seq: int) -> int:
        """Return the number behind the known gap that holds a number, 0 where there is none."""
        return next((last + 1 for first, last in self._gaps if first <= seq <= last), 0)

    def trim(self, durable: int) -> None:
        """Give up what is acknowledged up to a sequence number."""
        gone = bisect.bisect_right(self._firsts, durable)
        if gone and self._batches[gone - 1].first + self._batches[gone - 1].count - 1 > durable:
            gone -= 1
        self._drop(gone)
        if self._read_back and self._read_back[-1].first <= durable:
            self._read_back = []
        self._spool.trim(durable)
        spooled = self._spool.oldest
        self._gaps = [
            gap
            for gap in self._gaps
            if gap[1] > durable or (spooled is not None and spooled < gap[0])
        ]

    @property
    def in_memory_only(self) -> int:
        """How many events lie nowhere else."""
        both = zip(self._batches, self._in_spool, strict=True)
        return sum(batch.count for batch, spooled in both if not spooled)

    def distrust_spool(self, after: int) -> None:
        """Take what lies in memory for nowhere else: the spool has lost it.

        Args:
            after: the last sequence number that the spool still has.
        """
        for place, first in enumerate(self._firsts):
            if first > after and self._in_spool[place]:
                self._in_spool[place] = False
                self.unspooled += len(self._batches[place].body)

    def respool(self, write: Callable[[int, int, bytes], None]) -> None:
        """Write what lies in memory only into a spool that works again.

        Args:
            write: writes first number, count and body of one batch; raises where it cannot.
        """
        for place, batch in enumerate(self._batches):
            if not self._in_spool[place]:
                write(batch.first, batch.count, batch.body)
                self._in_spool[place] = True
                self.unspooled -= len(batch.body)
        self._shrink()

    def _shrink(self) -> None:
        """Drop from memory what the spool has, oldest first."""
        gone, size = 0, self.size
        while size > self._max_bytes and gone < len(self._batches) and self._in_spool[gone]:
            size -= len(self._batches[gone].body)
            gone += 1
        self._drop(gone)

    def _drop(self, count: int) -> None:
        for batch, spooled in zip(self._batches[:count], self._in_spool[:count], strict=True):
            self.size -= len(batch.body)
            self.unspooled -= 0 if spooled else len(batch.body)
        del self._firsts[:count], self._batches[:count], self._in_spool[:count]


def _holding(batches: list[Batch], seq: int) -> Batch | None:
    return next((each for each in batches if each.first <= seq < each.first + each.count), None)
