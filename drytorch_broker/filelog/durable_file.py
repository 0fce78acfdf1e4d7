"""The small file `durable` beside the segments: up to which offset records were acknowledged.

It tells a torn tail, which nobody was promised, from a damaged end that was. It is written after
each commit without waiting for the disk: what it says is true, but it may be behind.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

from drytorch_broker import failpoints

_FIELDS: Final = struct.Struct(">16sQ")
_CRC: Final = struct.Struct(">I")
NAME: Final = "durable"


def encode(journal_id: str, offset: int) -> bytes:
    """Return the file's content.

    Args:
        journal_id: the journal's id.
        offset: the offset behind the last acknowledged record.
    """
    fields = _FIELDS.pack(bytes.fromhex(journal_id), offset)
    return fields + _CRC.pack(crc32(fields))


def read(folder: Path) -> tuple[str, int] | None:
    """Return journal id and offset, None where the file is missing or damaged.

    Args:
        folder: the journal's folder.
    """
    try:
        data = (folder / NAME).read_bytes()
    except OSError:
        return None
    if len(data) != _FIELDS.size + _CRC.size:
        return None
    fields = data[: _FIELDS.size]
    if _CRC.unpack(data[_FIELDS.size :]) != (crc32(fields),):
        return None
    journal, offset = _FIELDS.unpack(fields)
    return journal.hex(), offset


class DurableFile:
    """The open file."""

    def __init__(self, folder: Path, journal_id: str) -> None:
        """Open the file, and make it where it is missing.

        Args:
            folder: the journal's folder.
            journal_id: the journal's id.

        Raises:
            OSError: it cannot be opened for writing.
        """
        self._journal_id = journal_id
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(folder / NAME, flags, 0o600)

    def write(self, offset: int) -> None:
        """Note that everything below an offset is acknowledged.

        Args:
            offset: the offset behind the last acknowledged record.

        Raises:
            OSError: it still says what it said before, or nothing readable.
        """
        data = encode(self._journal_id, offset)
        failpoints.torn("durable.write", self._descriptor, data, 0)
        os.pwrite(self._descriptor, data, 0)

    def sync(self) -> None:
        """Wait until what was written is on disk: what it says never falls behind that.

        Raises:
            OSError: it may not be there.
        """
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
