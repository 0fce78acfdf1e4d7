"""Reading journals: a segment, several, a folder, a stream. Nothing here ever writes.

A reader gives every readable record of one journal once, in offset order, and says what it could
not give: each `Damage` has its place, its bytes and the offsets that are lost.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from drytorch_schemas.errors import NotAJournalError
from drytorch_schemas.limits import MAX_SEQUENCE
from drytorch_schemas.record_order import Damage, OrderedReader
from drytorch_schemas.record_stream import Placed, Record, scan
from drytorch_schemas.records import Header, header_size

__all__ = [
    "Damage",
    "Positions",
    "Record",
    "first_offset",
    "read",
    "read_header",
    "scan_positions",
    "segment_name",
    "segments",
]

_SEGMENT: Final = re.compile(r"\d{20}\.msgpack")


@dataclass(frozen=True, slots=True)
class Positions:
    """What recovery needs to know of a segment.

    Attributes:
        header: the header, None where the segment has no readable one.
        end: where the last good record ends, or the header where none stands, bytes: cut here. 0
            where the header is not whole and nothing follows: begin the segment anew.
        next_offset: the offset behind the last good record.
        torn: bytes behind `end`.
        damages: all that is wrong, the tail included.
    """

    header: Header | None
    end: int
    next_offset: int
    torn: int
    damages: tuple[Damage, ...]


def segment_name(first: int) -> str:
    """Return the file name of the segment that begins with an offset."""
    return f"{first:020}.msgpack"


def first_offset(path: Path) -> int:
    """Return the offset that a segment's file name states."""
    return int(path.stem)


def segments(folder: Path) -> list[Path]:
    """Return a journal folder's segments in offset order.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))


def read_header(path: Path) -> Header:
    """Return the header of a segment or spool file.

    Raises:
        NotAJournalError: the file is not in our format, or both copies of its header are damaged.
        VersionError: of a newer version than this program reads.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        for item in scan(file, str(path)):
            if isinstance(item, Placed):
                return item.header
    raise NotAJournalError(f"{path} has no readable header: restore the file from a copy.")


def read(
    source: Path | BinaryIO | Sequence[Path], *, from_offset: int | None = None
) -> Iterator[Record | Damage]:
    """Yield the records of one journal in offset order, and what is damaged.

    Args:
        source: a segment or spool file, a journal folder, segments of one journal in any order, or
            a binary stream with one or more segments one after another.
        from_offset: leave out what lies before this offset.

    Raises:
        NotAJournalError: a file or stream is not in our format, or a folder holds no segment. In
            a folder, such a file is reported as damage.
        VersionError: of a newer version than this program reads.
        OSError: reading failed.
    """
    reader = OrderedReader()
    if isinstance(source, Path):
        items = _folder(source, from_offset) if source.is_dir() else _file(reader, source)
    elif isinstance(source, Sequence):
        items = _several(reader, source)
    else:
        items = reader.stream(source, "", getattr(source, "name", "") or "the stream")
    yield from _from(items, from_offset)


def scan_positions(path: Path) -> Positions:
    """Return where the good part of a segment or spool file ends, and what is wrong in it.

    Raises:
        NotAJournalError: the file is not in our format.
        VersionError: of a newer version than this program reads.
        OSError: reading failed.
    """
    reader = OrderedReader()
    damages: list[Damage] = []
    end = size = 0
    for item in _file(reader, path):
        if isinstance(item, Damage):
            damages.append(item)
            size = max(size, item.position + item.size)
        else:
            end = item.position + item.size
    if end == 0 and reader.header is not None:
        whole = 2 * header_size(reader.header.format)
        end = reader.header_end if reader.header_end >= whole else 0
    return Positions(reader.header, end, reader.expected or 0, max(size - end, 0), tuple(damages))


def _file(reader: OrderedReader, path: Path) -> Iterator[Record | Damage]:
    with path.open("rb") as file:
        yield from reader.stream(file, path.name, str(path))


def _folder(folder: Path, from_offset: int | None) -> Iterator[Record | Damage]:
    paths = segments(folder)
    if not paths:
        raise NotAJournalError(f"{folder} holds no journal segments: give a journal folder.")
    reader = OrderedReader(_most_common_journal(paths))
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        if following and from_offset is not None and first_offset(following) <= from_offset:
            continue
        try:
            yield from _file(reader, path)
        except NotAJournalError as error:
            yield Damage(0, path.stat().st_size, str(error), source=path.name)
        except FileNotFoundError:
            continue  # retention removed it; the next header tells if others before it stayed


def _several(reader: OrderedReader, paths: Sequence[Path]) -> Iterator[Record | Damage]:
    for path in sorted(paths, key=_first):
        yield from _file(reader, path)


def _first(path: Path) -> int:
    try:
        return read_header(path).first
    except NotAJournalError:
        return MAX_SEQUENCE  # reading it will tell what is wrong


def _most_common_journal(paths: Sequence[Path]) -> str | None:
    ids: Counter[str] = Counter()
    for path in paths:
        with contextlib.suppress(NotAJournalError, FileNotFoundError):
            ids[read_header(path).journal] += 1
    return max(ids, key=ids.__getitem__, default=None)


def _from(items: Iterator[Record | Damage], offset: int | None) -> Iterator[Record | Damage]:
    if offset is None:
        yield from items
        return
    for item in items:
        last = item.offset if isinstance(item, Record) else item.last_offset
        if last is None or last >= offset:
            yield item
