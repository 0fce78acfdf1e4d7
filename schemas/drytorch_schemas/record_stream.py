"""Finding records in a stream of bytes, also behind damage, in bounded memory.

A stream is one segment, or several one after another. At each place stands a header, a record, or
damage; after damage the next place is searched at which a header or record stands whose CRC holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

from drytorch_schemas.errors import NotAJournalError, VersionError
from drytorch_schemas.limits import FORMAT_VERSION, MAX_RECORD_BYTES
from drytorch_schemas.records import (
    BEGINNINGS,
    CHECKED,
    HEAD,
    JOURNAL,
    RECORD_MARK,
    U32,
    U64,
    Header,
    decode_header,
    header_size,
)

_CHUNK: Final = 1 << 18
#: The name and version of a header keep their places in all versions.
_NAME: Final = rb"(?:\xb0drytorch-journal|\xaedrytorch-spool)\xcd"
_NAMED: Final = re.compile(_NAME + rb"(..)", re.DOTALL)
#: What a header or record looks like before its CRC is computed.
_CANDIDATE: Final = re.compile(
    rb"\x97" + _NAME + rb"|\x95[\x00-\x7f]\xcf.{8}\xce.{4}\xce", re.DOTALL
)
_LONGEST_CANDIDATE: Final = 19
#: Both copies of a header lie in here, in this version and, it is hoped, in later ones.
_BEGINNING: Final = 512
_GZIP: Final = b"\x1f\x8b"
#: Behind damage, a record this far ahead is a coincidence of CRCs.
_PLAUSIBLE: Final = 1 << 32


class Record(NamedTuple):
    """A record whose CRC holds.

    Attributes:
        kind: `records.ENVELOPE`, `NOTE` or `BATCH`; others come from newer writers.
        offset: its offset, or a batch's first sequence number.
        payload: one msgpack value.
        position: where it begins in the file or stream, bytes.
        size: its bytes, head included.
    """

    kind: int
    offset: int
    payload: bytes
    position: int
    size: int


class Gap(NamedTuple):
    """Bytes that are neither header nor record.

    Attributes:
        position: where they begin in the file or stream, bytes.
        size: how many.
        zeros: whether all of them are zero.
    """

    position: int
    size: int
    zeros: bool


class Placed(NamedTuple):
    """A header and where it stands.

    Attributes:
        header: the header.
        position: where its copy begins in the file or stream, bytes.
    """

    header: Header
    position: int


class _Window:
    """The part of a stream that is in memory."""

    def __init__(self, stream: BinaryIO, base: int = 0) -> None:
        # of a pipe, take what is there: its writer may still live
        self._read = getattr(stream, "read1", stream.read)
        self.base = base
        self._ended = False
        self.data = b""
        self.at = 0

    @property
    def position(self) -> int:
        """Where `at` lies in the stream."""
        return self.base + self.at

    def has(self, size: int) -> bool:
        """Read on until so many bytes follow; tell whether the stream has them."""
        while len(self.data) - self.at < size and not self._ended:
            more = self._read(max(_CHUNK, size))
            self._ended = not more
            self.base += self.at
            self.data = self.data[self.at :] + (more or b"")
            self.at = 0
        return len(self.data) - self.at >= size


def scan(stream: BinaryIO, what: str) -> Iterator[Placed | Record | Gap]:
    """Yield what a stream holds, from its beginning to its end, every byte accounted for.

    Each of the two copies of a header is yielded.

    Args:
        stream: a binary stream, read to its end once.
        what: what to call it in errors.

    Raises:
        NotAJournalError: the stream does not begin as a segment does.
        VersionError: a segment has a newer version than this program reads.
        OSError: reading failed.
    """
    window = _Window(stream)
    _refuse_foreign(window, what)
    yield from _scan(window, what, None, 0)


def scan_on(
    stream: BinaryIO, what: str, header: Header, position: int, after: int
) -> Iterator[Placed | Record | Gap]:
    """Yield what a segment holds from one of its records on.

    Args:
        stream: the segment's file; it can be read anywhere.
        what: what to call it in errors.
        header: its header.
        position: where the record begins in the file, bytes.
        after: the lowest offset that the record may have.

    Raises:
        VersionError: a segment has a newer version than this program reads.
        OSError: reading failed.
    """
    stream.seek(position)
    window = _Window(stream, position)
    yield from _scan(window, what, header.salt, after)


def _scan(
    window: _Window, what: str, salt: int | None, after: int
) -> Iterator[Placed | Record | Gap]:
    while window.at < len(window.data) or window.has(1):
        record = None if salt is None else _record(window, salt)
        if record is not None:
            window.at += record.size
            after = record.offset + 1
            yield record
        elif (header := _header(window, what)) is not None:
            yield Placed(header, window.position)
            window.at += header_size(header.format)
            salt, after = header.salt, header.first
        else:
            yield _skip(window, salt, after, what)


def _refuse_foreign(window: _Window, what: str) -> None:
    window.has(_BEGINNING)
    start = window.data[:_BEGINNING]
    if start.startswith(_GZIP):
        raise NotAJournalError(f"{what} is compressed with gzip: run `gunzip` on it first.")
    versions = [int.from_bytes(found, "big") for found in _NAMED.findall(start)]
    if versions and min(versions) > FORMAT_VERSION:
        raise VersionError(what, min(versions), FORMAT_VERSION)
    if not _is_ours(start):
        raise NotAJournalError(
            f"{what} is not a journal of drytorch-bus: give a .msgpack file of a journal folder."
        )


def _is_ours(start: bytes) -> bool:
    """Tell whether a copy of a header begins here, or a writer died while it made one."""
    left = start.rstrip(b"\0")
    return any(each[1:] in start or each.startswith(left) for each in BEGINNINGS.values())


def _record(window: _Window, salt: int) -> Record | None:
    # asking the window costs as much as the rest
    if len(window.data) - window.at < HEAD.size and not window.has(HEAD.size):
        return None
    mark, kind, mark1, offset, mark2, crc, mark3, size = HEAD.unpack_from(window.data, window.at)
    if mark != RECORD_MARK or mark1 != U64 or mark2 != U32 or mark3 != U32:
        return None
    if size > MAX_RECORD_BYTES:
        return None
    whole = HEAD.size + size
    if len(window.data) - window.at < whole and not window.has(whole):
        return None
    payload = window.data[window.at + HEAD.size : window.at + whole]
    if crc32(payload, crc32(CHECKED.pack(kind, offset, size), salt)) != crc:
        return None
    return Record(kind, offset, payload, window.base + window.at, whole)


def _header(window: _Window, what: str) -> Header | None:
    window.has(header_size(JOURNAL))
    header = decode_header(window.data, window.at)
    if header is not None and header.version > FORMAT_VERSION:
        raise VersionError(what, header.version, FORMAT_VERSION)
    return header


def _skip(window: _Window, salt: int | None, after: int, what: str) -> Gap:
    """Go on to the next header or record whose CRC holds, or to the end."""
    start = window.position
    zeros = True
    while window.has(1):
        more = window.has(_LONGEST_CANDIDATE + 1)
        found = _CANDIDATE.search(window.data, window.at + 1)
        if found is not None:
            end = found.start()
        else:
            # a candidate may lie across the window's end
            end = len(window.data) - (_LONGEST_CANDIDATE - 1 if more else 0)
        zeros = zeros and not window.data[window.at : end].strip(b"\0")
        window.at = end
        if found is not None and _good(window, salt, after, what):
            break
    return Gap(start, window.position - start, zeros)


def _good(window: _Window, salt: int | None, after: int, what: str) -> bool:
    if _header(window, what) is not None:
        return True
    record = None if salt is None else _record(window, salt)
    return record is not None and after <= record.offset < after + _PLAUSIBLE
