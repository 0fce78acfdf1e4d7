"""The side file of a text file: which events' rows it holds, and where.

A row is noted here before it is written there. After a crash a half-written row can be cut off,
a complete one is recognised, and an event that comes again is known. The file is an append-only
list of records of 49 bytes after a first line that names the format:

    kind (1) | producer, BLAKE2 (16) | seq (8) | start (8) | end (8) | crc of the row (4) | crc (4)

all big-endian; the last CRC covers the bytes before it. `start` and `end` are lengths of the text
file before and after the row. Kinds: 1 a row; 2 a mark: everything up to `end` was on disk; 3 the
file was rewritten: `end` and the first CRC are those of the whole file.
"""

from __future__ import annotations

import bisect
import hashlib
import struct
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

MAGIC: Final = b"drytorch-applied 1\n"
ROW: Final = 1
MARK: Final = 2
REWRITTEN: Final = 3
_FIELDS: Final = struct.Struct(">B16sQQQI")
_CRC: Final = struct.Struct(">I")
RECORD_SIZE: Final = _FIELDS.size + _CRC.size
_NOBODY: Final = bytes(16)
_CHUNK: Final = 1024 * RECORD_SIZE


class Noted(NamedTuple):
    """One record of the side file.

    Attributes:
        kind: `ROW`, `MARK` or `REWRITTEN`.
        producer: digest of the producer's id.
        seq: the event's number.
        start: length of the text file before the row.
        end: length after it.
        crc: CRC-32 of the row.
    """

    kind: int
    producer: bytes
    seq: int
    start: int
    end: int
    crc: int


def digest(producer: str) -> bytes:
    """Return a producer's id at a fixed width.

    Args:
        producer: the id.
    """
    return hashlib.blake2b(producer.encode(), digest_size=16).digest()


def encode(noted: Noted) -> bytes:
    """Return the bytes of a record.

    Args:
        noted: the record.
    """
    fields = _FIELDS.pack(*noted)
    return fields + _CRC.pack(zlib.crc32(fields))


def mark(end: int) -> Noted:
    """Return the record that says: everything up to here was on disk.

    Args:
        end: length of the text file.
    """
    return Noted(MARK, _NOBODY, 0, end, end, 0)


def rewritten(end: int, crc: int) -> Noted:
    """Return the first record of the side file of a rewritten file.

    Args:
        end: length of the text file.
        crc: CRC-32 of all of it.
    """
    return Noted(REWRITTEN, _NOBODY, 0, 0, end, crc)


def read(path: Path) -> Iterator[Noted]:
    """Yield the records of a side file, up to the first that is damaged or incomplete.

    Args:
        path: the side file; none where it is not there.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        while chunk := file.read(_CHUNK):
            for position in range(0, len(chunk) - RECORD_SIZE + 1, RECORD_SIZE):
                fields = chunk[position : position + _FIELDS.size]
                check = chunk[position + _FIELDS.size : position + RECORD_SIZE]
                if _CRC.unpack(check)[0] != zlib.crc32(fields):
                    return
                yield Noted(*_FIELDS.unpack(fields))


class Identities:
    """Which events were applied: 8 bytes for each."""

    def __init__(self) -> None:
        self._seqs: dict[bytes, array[int]] = {}

    def add(self, producer: bytes, seq: int) -> None:
        """Note an event.

        Args:
            producer: digest of its producer.
            seq: its number.
        """
        seqs = self._seqs.setdefault(producer, array("Q"))
        if not seqs or seqs[-1] < seq:
            seqs.append(seq)
        else:
            bisect.insort(seqs, seq)

    def holds(self, producer: bytes, seq: int) -> bool:
        """Tell whether an event was applied.

        Args:
            producer: digest of its producer.
            seq: its number.
        """
        seqs = self._seqs.get(producer)
        if seqs is None:
            return False
        place = bisect.bisect_left(seqs, seq)
        return place < len(seqs) and seqs[place] == seq

    def is_late(self, producer: bytes, seq: int) -> bool:
        """Tell whether a later event of the same producer was applied.

        Args:
            producer: digest of its producer.
            seq: its number.
        """
        seqs = self._seqs.get(producer)
        return seqs is not None and bool(seqs) and seqs[-1] > seq


class AppliedLog:
    """The side file, open for appending.

    Attributes:
        path: the side file.
        identities: the events that it names.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identities = Identities()
        self._size = 0

    def keep(self, count: int) -> None:
        """Take over the first records of the side file, and cut off the others.

        Args:
            count: how many; 0 starts a new side file with the first record that is appended.
        """
        self.identities = Identities()
        for _, noted in zip(range(count), read(self.path), strict=False):
            self._take(noted)
        self._size = len(MAGIC) + count * RECORD_SIZE if count else 0

    def append(self, noted: Noted) -> None:
        """Write a record at once, so that it outlives this process.

        Args:
            noted: the record.

        Raises:
            OSError: the disk did not take it.
        """
        with self._open() as file:
            file.truncate(self._size)
            file.seek(self._size)
            data = encode(noted) if self._size else MAGIC + encode(noted)
            written = file.write(data)
        if written != len(data):
            raise OSError(f"{self.path} took {written} of {len(data)} bytes: is the disk full?")
        self._size += len(data)
        self._take(noted)

    def _take(self, noted: Noted) -> None:
        if noted.kind == ROW:
            self.identities.add(noted.producer, noted.seq)

    def _open(self) -> BinaryIO:
        if self._size == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("wb", buffering=0)
        return self.path.open("r+b", buffering=0)
