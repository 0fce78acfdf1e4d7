"""One file of the journal: its header, its bounds, and reading records at known places."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

from drytorch_broker.filelog.index import SegmentIndex
from drytorch_schemas import records
from drytorch_schemas.journal_reader import segment_name

_NEAR: Final = 1 << 18
_FAR: Final = 1 << 14

#: Called with an offset and what is wrong with the record there.
OnDamage = Callable[[int, str], None]


@dataclass(slots=True)
class Segment:
    """A segment file.

    Attributes:
        path: the file.
        first: offset of its first record.
        salt: seed of its records' CRCs.
        created: when it was made, nanoseconds since 1970.
        size: bytes up to the end of the last durable record.
        end: the offset behind its last durable record.
        index: where its records lie; None where it is only in the side file.
    """

    path: Path
    first: int
    salt: int
    created: int
    size: int
    end: int
    index: SegmentIndex | None = field(default=None, repr=False)

    @classmethod
    def planned(cls, folder: Path, journal_id: str, first: int) -> tuple[Segment, bytes]:
        """Return a segment that is still to be written, and the bytes of its header.

        Args:
            folder: the journal's folder.
            journal_id: the journal's id.
            first: offset of its first record.
        """
        header = records.Header(records.JOURNAL, journal_id, first)
        data = records.encode_header(header)
        path = folder / segment_name(first)
        index = SegmentIndex()
        return cls(path, first, header.salt, header.created, len(data), first, index), data

    @property
    def index_path(self) -> Path:
        """Where the side file with the index lies."""
        return self.path.with_suffix(".index")

    def loaded(self) -> SegmentIndex | None:
        """Return the index, from the side file where it is not in memory; None without one."""
        return self.index or SegmentIndex.load(self.index_path, self.size, self.salt)

    def payloads(
        self, index: SegmentIndex, places: Iterable[int], on_damage: OnDamage
    ) -> Iterator[tuple[int, bytes]]:
        """Yield offset and payload of the records at some places, their CRCs checked.

        Args:
            index: the segment's index.
            places: places in ascending order.
            on_damage: told of records that are not as they were written.

        Raises:
            OSError: the file cannot be read.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            window = _Window(descriptor, self.size)
            for place, following in pairwise((*places, -1)):
                window.ahead = _NEAR if following == place + 1 else _FAR
                payload = self._payload(window, self.first + place, index.positions[place])
                if payload is None:
                    on_damage(self.first + place, f"damaged record in {self.path.name}")
                else:
                    yield self.first + place, payload
        finally:
            os.close(descriptor)

    def _payload(self, window: _Window, offset: int, position: int) -> bytes | None:
        head = window.get(position, records.HEAD.size)
        if len(head) < records.HEAD.size:
            return None
        mark, kind, _, found, _, crc, _, size = records.HEAD.unpack(head)
        if mark != records.RECORD_MARK or found != offset or size > self.size:
            return None
        payload = window.get(position + records.HEAD.size, size)
        good = crc32(payload, crc32(records.CHECKED.pack(kind, offset, size), self.salt))
        return payload if good == crc and len(payload) == size else None


class _Window:
    """Reads ahead, so that neighbours cost one read."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._base = 0
        self._data = b""
        self.ahead = _NEAR

    def get(self, position: int, size: int) -> bytes:
        """Return bytes of the file, fewer where it ends."""
        start = position - self._base
        if start < 0 or start + size > len(self._data):
            wanted = min(max(size, self.ahead), max(self._size - position, 0))
            self._base, self._data = position, os.pread(self._descriptor, wanted, position)
            start = 0
        return self._data[start : start + size]
