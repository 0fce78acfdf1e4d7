"""Reading a segment from end to end: for its index, and for whoever wants to see every record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from drytorch_broker.batch import BatchReader
from drytorch_broker.filelog.index import SegmentIndex
from drytorch_broker.log import TopicKey
from drytorch_schemas import record_stream
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import unpack
from drytorch_schemas.records import ENVELOPE, Header, header_size

#: Called with kind and offset of a record, its topic (None for what is no envelope), and the
#: decoded payload.
Observer = Callable[[int, int, TopicKey | None, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a segment's beginning without reading it.

    Attributes:
        header: its header.
        index: where its first records lie.
        position: where the next one begins, bytes.
    """

    header: Header
    index: SegmentIndex
    position: int


#: No commit is larger: a drain of the ingest socket, and what was held back.
MAX_COMMIT_BYTES: Final = 16 << 20


@dataclass(slots=True)
class Scan:
    """What a segment holds.

    Attributes:
        header: its header; None where both copies are damaged.
        index: where its records lie.
        end: the offset behind its last good record.
        size: bytes up to the end of the last good record.
        torn: bytes behind that.
        damages: what is wrong before that, one sentence each.
    """

    header: Header | None = None
    index: SegmentIndex = field(default_factory=SegmentIndex)
    end: int = 0
    size: int = 0
    torn: int = 0
    damages: list[str] = field(default_factory=list)


def scan_segment(
    path: Path,
    reader: BatchReader,
    observe: Observer | None = None,
    *,
    unacknowledged: int | None = None,
    known: Known | None = None,
) -> Scan:
    """Read a segment.

    Args:
        path: the file.
        reader: gives equal topics as the same object.
        observe: told of every record, in order.
        unacknowledged: the segment was being written, and records from this offset on may not have
            been acknowledged: a hole among them is where a power cut tore the last commit, and
            what follows it is torn, too. Were it kept, the resend would be taken for a duplicate.
        known: its beginning, which is not read.

    Raises:
        OSError: the file cannot be read.
        NotAJournalError: it is none of ours.
        VersionError: it is of a newer version.
    """
    scan = Scan()
    gap: record_stream.Gap | None = None
    with path.open("rb") as file:
        for item in _items(file, path, scan, known):
            if isinstance(item, record_stream.Gap):
                gap = item
                scan.torn = item.size
            elif isinstance(item, record_stream.Placed):
                _take_header(scan, item, path)
            else:
                if gap is not None and _is_torn(path, gap, scan, unacknowledged):
                    scan.torn = path.stat().st_size - gap.position
                    break
                if gap is not None:
                    scan.damages.append(_describe(path, gap, scan.end, item.offset))
                gap, scan.torn = None, 0
                _take_record(scan, item, path, reader, observe)
    return scan


def _items(
    file: BinaryIO, path: Path, scan: Scan, known: Known | None
) -> Iterator[record_stream.Placed | record_stream.Record | record_stream.Gap]:
    """Return what the file holds behind what is known, which is noted as if it had been read."""
    if known is None:
        return record_stream.scan(file, str(path))
    scan.header, scan.index, scan.size = known.header, known.index, known.position
    scan.end = known.header.first + len(known.index)
    return record_stream.scan_on(file, str(path), known.header, known.position, scan.end)


def _is_torn(path: Path, gap: record_stream.Gap, scan: Scan, unacknowledged: int | None) -> bool:
    """Tell whether a hole lies in the last commit, which nobody waited for."""
    if unacknowledged is None or scan.end < unacknowledged:
        return False
    return path.stat().st_size - gap.position <= MAX_COMMIT_BYTES


def _describe(path: Path, gap: record_stream.Gap, first: int, behind: int) -> str:
    where = f"{path.name}: {gap.size} damaged bytes at {gap.position}"
    if behind <= first:
        return f"{where}, no record lost"
    return f"{where}, records {first} to {behind - 1} lost"


def _take_header(scan: Scan, placed: record_stream.Placed, path: Path) -> None:
    if scan.header is None:
        scan.header, scan.end = placed.header, placed.header.first
        if placed.position:  # the first copy is damaged, the second is enough
            scan.damages.append(f"{path.name}: the first copy of its header is damaged")
        scan.torn = 0
    elif placed.header != scan.header:
        scan.damages.append(f"{path.name}: another segment's header at byte {placed.position}")
    scan.size = placed.position + header_size(placed.header.format)


def _take_record(
    scan: Scan,
    record: record_stream.Record,
    path: Path,
    reader: BatchReader,
    observe: Observer | None,
) -> None:
    if scan.header is None or record.offset < scan.end:
        scan.damages.append(f"{path.name}: offset {record.offset} stands there twice")
        return
    if record.offset > scan.end and not scan.damages:
        text = f"{path.name}: records {scan.end} to {record.offset - 1} are missing"
        scan.damages.append(text)
    scan.index.pad(record.offset - scan.header.first)
    topic, wire = read_record(record, reader)
    scan.index.add(record.position, topic)
    scan.end = record.offset + 1
    scan.size = record.position + record.size
    if observe is not None:
        observe(record.kind, record.offset, topic, wire)


def read_record(
    record: record_stream.Record, reader: BatchReader
) -> tuple[TopicKey | None, Mapping[str, Any]]:
    """Return a record's topic and decoded payload; None and nothing for what cannot be decoded.

    Args:
        record: a record whose CRC holds.
        reader: gives equal topics as the same object.
    """
    try:
        wire = unpack(record.payload)
        if not isinstance(wire, dict):
            return None, {}
        return (reader.topic_of(wire) if record.kind == ENVELOPE else None), wire
    except (DecodingError, TypeError):
        return None, {}
