"""`state.snapshot`: what would otherwise be read from the whole journal at each start.

Written at a clean stop, and whenever the index of a segment, or of a part of it, is saved. It is a
shortcut: without it, or when it is damaged, the journal is read from its start.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from drytorch_broker import atomic_file
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack

NAME: Final = "state.snapshot"
_FORMAT: Final = "drytorch-state-1"
_CRC_BYTES: Final = 4
#: About a million producers; a larger file is none of ours.
_MAX_BYTES: Final = 1 << 29
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Snapshot:
    """The state of everything that the journal determines, as of an offset.

    Attributes:
        journal: the journal's id.
        offset: everything below is in it.
        producers: id, token, host and durable sequence number of each producer.
        runs: rows of the run index.
    """

    journal: str
    offset: int
    producers: list[list[Any]] = field(default_factory=list)
    runs: list[list[Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the file in one step.

        Args:
            folder: the journal's folder.

        Raises:
            OSError: the file is as it was.
        """
        packed = pack([_FORMAT, self.journal, self.offset, self.producers, self.runs])
        data = packed + crc32(packed).to_bytes(_CRC_BYTES, "big")
        atomic_file.write(folder / NAME, data, durable=True)

    @classmethod
    def load(cls, folder: Path) -> Snapshot | None:
        """Return the snapshot, None where there is no whole one.

        Args:
            folder: the journal's folder.
        """
        try:
            data = (folder / NAME).read_bytes()
        except OSError:
            return None
        packed, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        if crc32(packed).to_bytes(_CRC_BYTES, "big") != crc:
            _log.warning("%s is damaged: the journal is read from its start", folder / NAME)
            return None
        try:
            match unpack(packed, _MAX_BYTES):
                case [str(found), str(journal), int(offset), list(producers), list(runs)] if (
                    found == _FORMAT
                ):
                    return cls(journal, offset, producers, runs)
        except DecodingError:
            return None
        return None
