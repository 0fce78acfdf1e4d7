"""Replace a CSV file at once: by one with more columns, or with a row between others.

The new file and its side file are complete on disk before the first takes its place. A crash
between the two steps is settled by `settle`: the side file says which CSV file it belongs to.
"""

from __future__ import annotations

import hashlib
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from drytorch_schemas.failpoints import Failpoints
from drytorch_trackers import applied, durable
from drytorch_trackers.applied import Noted
from drytorch_trackers.csv_format import CsvFormat

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Insertion:
    """What makes the file new.

    Attributes:
        producer: digest of the event's producer.
        seq: the event's number; its row goes before later ones of its producer.
        row: the row, with all columns.
        columns: names of the columns that are new.
    """

    producer: bytes
    seq: int
    row: bytes
    columns: Sequence[str]


def rewrite(
    path: Path,
    side: Path,
    csv_format: CsvFormat,
    insertion: Insertion,
    failpoints: Failpoints | None = None,
) -> None:
    """Replace a CSV file and its side file.

    Args:
        path: the CSV file.
        side: its side file.
        csv_format: the dialect.
        insertion: what makes the file new.
        failpoints: where a test has this process killed.
    """
    new, new_side = _new_path(path), _new_side(side)
    with new.open("wb") as target, new_side.open("wb") as notes:
        _Writer(target, notes).copy(path, side, csv_format, insertion)
    shutil.copymode(path, new)
    durable.sync_file(new)
    durable.sync_file(new_side)
    durable.sync_folder(side.parent)
    if failpoints is not None:
        failpoints.hit("rewrite.ready")
    new.replace(path)
    if failpoints is not None:
        failpoints.hit("rewrite.moved")
    durable.sync_folder(path.parent)
    new_side.replace(side)
    durable.sync_folder(side.parent)


def settle(path: Path, side: Path) -> None:
    """Finish a replacement that a crash interrupted, or take it back.

    Args:
        path: the CSV file.
        side: its side file.
    """
    new_side = _new_side(side)
    if new_side.exists():
        first = next(applied.read(new_side), None)
        if first is not None and first.kind == applied.REWRITTEN and _is(path, first):
            new_side.replace(side)
        else:
            new_side.unlink()
    _new_path(path).unlink(missing_ok=True)


class _Writer:
    """Writes rows to the new file and where they are to the new side file."""

    def __init__(self, target: BinaryIO, notes: BinaryIO) -> None:
        self._target = target
        self._notes = notes
        self._end = 0
        self._crc = 0

    def copy(self, path: Path, side: Path, csv_format: CsvFormat, insertion: Insertion) -> None:
        """Copy all rows, and put the new one where it belongs."""
        self._note_whole_file()
        waiting = True
        rows = _identified(path, side, csv_format)
        for number, (raw, noted) in enumerate(rows):
            own = next((each for each in noted if each.start < each.end), None)
            for each in noted:
                if each is not own:
                    self._put(b"", each)  # its row is gone, that it was applied is not
            if waiting and own is not None and _follows(own, insertion):
                self._put_insertion(insertion)
                waiting = False
            empty = [None] * len(insertion.columns)
            self._put(csv_format.longer(raw, empty if number else insertion.columns), own)
        if waiting:
            self._put_insertion(insertion)
        self._notes.write(applied.encode(applied.mark(self._end)))
        self._notes.seek(len(applied.MAGIC))
        self._notes.write(applied.encode(applied.rewritten(self._end, self._crc)))

    def _note_whole_file(self) -> None:
        # its length and CRC are known at the end only
        self._notes.write(applied.MAGIC + applied.encode(applied.rewritten(0, 0)))

    def _put_insertion(self, insertion: Insertion) -> None:
        own = Noted(applied.ROW, insertion.producer, insertion.seq, 0, 0, 0)
        self._put(insertion.row, own)

    def _put(self, raw: bytes, own: Noted | None) -> None:
        start = self._end
        self._end += len(raw)
        self._crc = zlib.crc32(raw, self._crc)
        self._target.write(raw)
        if own is not None:
            noted = own._replace(start=start, end=self._end, crc=zlib.crc32(raw))
            self._notes.write(applied.encode(noted))


def _identified(
    path: Path, side: Path, csv_format: CsvFormat
) -> Iterator[tuple[bytes, list[Noted]]]:
    """Yield the bytes of each row with the events up to its end; the row's own has a length."""
    known = (each for each in applied.read(side) if each.kind == applied.ROW)
    upcoming = next(known, None)
    position = 0
    with path.open(newline="", encoding="utf-8") as file:
        for raw, _ in csv_format.rows(file):
            position += len(raw)
            ended: list[Noted] = []
            while upcoming is not None and upcoming.end <= position:
                here = upcoming.end == position
                ended.append(upcoming if here else upcoming._replace(start=0, end=0))
                upcoming = next(known, None)
            yield raw, ended


def _follows(own: Noted, insertion: Insertion) -> bool:
    return own.producer == insertion.producer and own.seq > insertion.seq


def _is(path: Path, noted: Noted) -> bool:
    try:
        with path.open("rb") as file:
            crc = size = 0
            while chunk := file.read(_CHUNK):
                crc = zlib.crc32(chunk, crc)
                size += len(chunk)
    except FileNotFoundError:
        return False
    return (size, crc) == (noted.end, noted.crc)


def _new_path(path: Path) -> Path:
    return path.with_name(f".{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.new")


def _new_side(side: Path) -> Path:
    return side.with_name(f"{side.name}.next")
