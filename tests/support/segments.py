"""Segments as bytes, and where their parts lie."""

import io
from dataclasses import dataclass
from pathlib import Path

import msgpack

from drytorch_schemas.journal_reader import Damage, Record, read, segment_name
from drytorch_schemas.records import ENVELOPE, JOURNAL, Header, encode_header, encode_record

JOURNAL_ID = "0f" * 16


def payload(offset: int) -> bytes:
    """Return the payload that this file puts at an offset."""
    packed: bytes = msgpack.packb({"offset": offset, "text": "é" * (offset % 7)})
    return packed


@dataclass
class Made:
    """A segment of records with consecutive offsets.

    Attributes:
        data: its bytes.
        first: offset of the first record.
        ends: where the header ends, then where each record does.
    """

    data: bytes
    first: int
    ends: list[int]

    @property
    def offsets(self) -> list[int]:
        """The offsets in it."""
        return list(range(self.first, self.first + len(self.ends) - 1))

    def place(self, offset: int) -> slice:
        """Return where a record lies."""
        number = offset - self.first
        return slice(self.ends[number], self.ends[number + 1])

    def without(self, offset: int) -> bytes:
        """Return the bytes with those of a record cut out."""
        place = self.place(offset)
        return self.data[: place.start] + self.data[place.stop :]

    def save(self, folder: Path) -> Path:
        """Write it into a journal folder."""
        path = folder / segment_name(self.first)
        path.write_bytes(self.data)
        return path


def segment(first: int, count: int, journal: str = JOURNAL_ID, salt: int = 77) -> Made:
    """Make a segment."""
    data = encode_header(Header(JOURNAL, journal, first, salt + first, 123))
    ends = [len(data)]
    for offset in range(first, first + count):
        data += encode_record(ENVELOPE, offset, payload(offset), salt + first)
        ends.append(len(data))
    return Made(data, first, ends)


def split(items: list[Record | Damage]) -> tuple[list[Record], list[Damage]]:
    """Tell records from damages."""
    records = [item for item in items if isinstance(item, Record)]
    return records, [item for item in items if isinstance(item, Damage)]


def read_bytes(data: bytes) -> tuple[list[Record], list[Damage]]:
    """Read a stream."""
    return split(list(read(io.BytesIO(data))))
