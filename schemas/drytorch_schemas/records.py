"""The bytes of journal segments and spool files: a header written twice, then one array per record.

The file is a plain msgpack stream. Layout of a header, of fixed width for a format:

    97 | name (fixstr) | CD version (u16) | C4 10 journal (16 bytes) | CF first (u64)
       | CE salt (u32) | CF created (u64, ns since 1970) | CE crc (u32)

Layout of a record, whose first 21 bytes have fixed width:

    95 | kind (1 byte) | CF offset (u64) | CE crc (u32) | CE length (u32) | payload (any value)

Everything is big-endian. A header's CRC covers all that stands before it; a record's covers kind,
offset, length and payload, and is seeded with the salt of its segment, so that records of an older
file in reused blocks never pass.
"""

from __future__ import annotations

import re
import secrets
import struct
import time
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from drytorch_schemas.errors import EncodingError
from drytorch_schemas.limits import FORMAT_VERSION, MAX_RECORD_BYTES

#: Format names, as they stand in headers.
JOURNAL: Final = "drytorch-journal"
SPOOL: Final = "drytorch-spool"

#: A record's kinds: an envelope, a note of the broker, and the body of one batch (spool files
#: only).
ENVELOPE: Final = 1
NOTE: Final = 2
BATCH: Final = 3

#: First byte of a record: an array of five. First byte of a header: an array of seven.
RECORD_MARK: Final = 0x95
HEADER_MARK: Final = 0x97
U16: Final = 0xCD
U32: Final = 0xCE
U64: Final = 0xCF
BIN8: Final = 0xC4
FIXSTR: Final = 0xA0
ID_BYTES: Final = 16

_ID: Final = re.compile(r"[0-9a-f]{32}")
#: A record's head: mark, kind, U64, offset, U32, crc, U32, length.
HEAD: Final = struct.Struct(">BBBQBIBI")
#: What a record's CRC covers, before the payload: kind, offset, length.
CHECKED: Final = struct.Struct(">BQI")
#: A header behind its name: U16, version, BIN8, 16, journal, U64, first, U32, salt, U64, created;
#: then U32, crc.
HEADER_TAIL: Final = struct.Struct(">BHBB16sBQBIBQ")
HEADER_CRC: Final = struct.Struct(">BI")
#: How the header of each format begins.
BEGINNINGS: Final = {
    name: bytes([HEADER_MARK, FIXSTR + len(name)]) + name.encode() for name in (JOURNAL, SPOOL)
}


@dataclass(frozen=True, slots=True)
class Header:
    """What stands at the beginning of a segment.

    Attributes:
        format: `JOURNAL` or `SPOOL`.
        journal: the journal's id, or in a spool the producer's: 32 hexadecimal digits.
        first: offset of the first record, or in a spool its sequence number.
        salt: seed of the records' CRCs.
        created: when the segment was made, nanoseconds since 1970, UTC.
        version: version of the file format.
    """

    format: str
    journal: str
    first: int
    salt: int = field(default_factory=lambda: secrets.randbits(32))
    created: int = field(default_factory=time.time_ns)
    version: int = FORMAT_VERSION


def header_size(name: str) -> int:
    """Return the bytes of one of the two copies of a format's header."""
    return len(BEGINNINGS[name]) + HEADER_TAIL.size + HEADER_CRC.size


def encode_header(header: Header) -> bytes:
    """Return both copies of a header: the first bytes of a segment.

    Args:
        header: what to write.

    Raises:
        EncodingError: the id is not 32 hexadecimal digits, or a number does not fit.
    """
    if not _ID.fullmatch(header.journal):
        raise EncodingError(f"the id {header.journal!r} must be 32 hexadecimal digits")
    try:
        journal = bytes.fromhex(header.journal)
        copy = BEGINNINGS[header.format] + HEADER_TAIL.pack(
            *(U16, header.version, BIN8, ID_BYTES, journal, U64, header.first),
            *(U32, header.salt, U64, header.created),
        )
    except (KeyError, struct.error) as error:
        raise EncodingError(f"not the header of a segment: {error}") from error
    return (copy + HEADER_CRC.pack(U32, crc32(copy))) * 2


def decode_header(data: bytes, start: int = 0) -> Header | None:
    """Return the header whose copy begins at a place, None where none does or its CRC is wrong.

    A header of a newer version is returned too, where it has this version's layout: look at
    `version`.

    Args:
        data: bytes from outside.
        start: where the copy begins.
    """
    for name, beginning in BEGINNINGS.items():
        tail = start + len(beginning)
        end = tail + HEADER_TAIL.size
        if not data.startswith(beginning, start) or len(data) < end + HEADER_CRC.size:
            continue
        marks_and_values = HEADER_TAIL.unpack_from(data, tail)
        if HEADER_CRC.unpack_from(data, end) != (U32, crc32(data[start:end])):
            continue
        # the CRC covers the marks as well
        _, version, _, _, journal, _, first, _, salt, _, created = marks_and_values
        return Header(name, journal.hex(), first, salt, created, version)
    return None


def encode_record(kind: int, offset: int, payload: bytes, salt: int) -> bytes:
    """Return a record.

    Args:
        kind: `ENVELOPE`, `NOTE` or `BATCH`.
        offset: the record's offset, or a batch's first sequence number.
        payload: one msgpack value.
        salt: the salt of the segment.

    Raises:
        EncodingError: the payload is larger than `MAX_RECORD_BYTES`; no reader would take it.
    """
    size = len(payload)
    if size > MAX_RECORD_BYTES:
        raise EncodingError(f"a record of {size} bytes is larger than {MAX_RECORD_BYTES}")
    crc = crc32(payload, crc32(CHECKED.pack(kind, offset, size), salt))
    return HEAD.pack(RECORD_MARK, kind, U64, offset, U32, crc, U32, size) + payload
