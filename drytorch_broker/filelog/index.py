"""Where each record of a segment lies, and its topic: in memory, and now and then in a side file.

The side file is a shortcut only: where it is missing, damaged or does not fit its segment, the
segment is read again.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Final
from zlib import crc32

from drytorch_broker import atomic_file
from drytorch_broker.log import TopicKey, Wanted
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack

#: CRC and length of the header, 4 bytes each; the header; positions and topics as in memory.
_FORMAT: Final = f"drytorch-index-2-{sys.byteorder}"
#: A segment's index takes 8 bytes a record; a larger file is none of ours.
_MAX_BYTES: Final = 1 << 28


@dataclass(slots=True)
class SegmentIndex:
    """Places of the records of one segment. Place 0 is the segment's first offset.

    Attributes:
        positions: where each record begins, bytes; 0 for one that is damaged or missing.
        topics: number of each record's topic in `table`, from 1; 0 for what is no envelope.
        table: the topics.
    """

    positions: array[int] = field(default_factory=lambda: array("I"))
    topics: array[int] = field(default_factory=lambda: array("I"))
    table: list[TopicKey] = field(default_factory=list)
    _numbers: dict[TopicKey, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def memory(self) -> int:
        """What its records take in memory, without the topics' names."""
        return self.positions.itemsize * 2 * len(self)

    def add(self, position: int, topic: TopicKey | None) -> None:
        """Add the next record.

        Args:
            position: where it begins in the file.
            topic: its topic; None for what is no envelope.
        """
        self.positions.append(position)
        self.topics.append(0 if topic is None else self.number(topic))

    def number(self, topic: TopicKey) -> int:
        """Return the number of a topic, a new one where it is new."""
        known = self._numbers.get(topic)
        if known is None:
            self.table.append(topic)
            known = self._numbers[topic] = len(self.table)
        return known

    def pad(self, count: int) -> None:
        """Add records that are damaged or missing, up to a number of records."""
        missing = count - len(self)
        if missing > 0:
            self.positions.extend([0] * missing)
            self.topics.extend([0] * missing)

    def truncate(self, count: int) -> None:
        """Forget all but the first records."""
        del self.positions[count:]
        del self.topics[count:]

    def matching(self, start: int, end: int, wanted: Wanted | None) -> Iterator[int]:
        """Yield the places of envelopes whose topic is wanted.

        Args:
            start: first place.
            end: stop before this place.
            wanted: which topics; None for all.
        """
        numbers = {
            number for number, topic in enumerate(self.table, 1) if wanted is None or wanted(topic)
        }
        if numbers:
            topics, positions = self.topics, self.positions
            end = min(end, len(self))
            chosen = map(numbers.__contains__, topics[start:end])
            for place in compress(range(start, end), chosen):
                if positions[place]:
                    yield place

    def save(self, path: Path, size: int, salt: int) -> None:
        """Write the side file.

        Args:
            path: where to.
            size: bytes of the segment that this index covers.
            salt: the segment's salt, so that no other segment's index fits.

        Raises:
            OSError: it could not be written.
        """
        table = [list(topic) for topic in self.table]
        header = pack([_FORMAT, size, salt, len(self), table])
        parts = (header, self.positions.tobytes(), self.topics.tobytes())
        data = b"".join((len(header).to_bytes(4, "big"), *parts))
        atomic_file.write(path, crc32(data).to_bytes(4, "big") + data)

    @classmethod
    def load(cls, path: Path, size: int, salt: int) -> SegmentIndex | None:
        """Return the index from a side file, None where it is missing, damaged or another's.

        Args:
            path: the side file.
            size: bytes of the segment.
            salt: the segment's salt.
        """
        found = cls._load(path, salt)
        return found[0] if found is not None and found[1] == size else None

    @classmethod
    def load_beginning(
        cls, path: Path, size: int, salt: int, count: int
    ) -> tuple[SegmentIndex, int] | None:
        """Return the index of a segment's first records, and where the next one begins.

        Args:
            path: the side file.
            size: bytes of the segment, which may have grown since.
            salt: the segment's salt.
            count: most records.
        """
        found = cls._load(path, salt)
        if found is None or found[1] > size or count <= 0:
            return None
        index, behind = found
        if count < len(index):
            behind = index.positions[count]
            index.truncate(count)
        return (index, behind) if behind and len(index) else None

    @classmethod
    def _load(cls, path: Path, salt: int) -> tuple[SegmentIndex, int] | None:
        """Return an index and how many bytes of its segment it covers."""
        try:
            data = memoryview(path.read_bytes())
            if len(data) > _MAX_BYTES or crc32(data[4:]).to_bytes(4, "big") != data[:4]:
                return None
            begin = 8 + int.from_bytes(data[4:8], "big")
            name, size, found, count, table = unpack(bytes(data[8:begin]), _MAX_BYTES)
            if (name, found) != (_FORMAT, salt):
                return None
            index = cls(table=[TopicKey(*topic) for topic in table])
            middle = begin + count * index.positions.itemsize
            index.positions.frombytes(data[begin:middle])
            index.topics.frombytes(data[middle:])
        except (OSError, DecodingError, TypeError, ValueError):
            return None
        index._numbers = {topic: number for number, topic in enumerate(index.table, 1)}
        return (index, size) if len(index) == len(index.topics) == count else None
