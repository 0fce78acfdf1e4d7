"""Bring a CSV file and its side file together again, after a crash or after somebody's changes.

What is not marked as being on disk is compared with the CRC of its row; a row that is missing, torn
or different is cut off with all that follows, and its event comes again. What is marked is trusted:
where the file is shorter or longer than that, somebody changed it, and their rows are left alone.
"""

from __future__ import annotations

import itertools
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from drytorch_trackers import applied, csv_rewrite, durable
from drytorch_trackers.applied import AppliedLog, Noted
from drytorch_trackers.csv_format import CsvFormat


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a side file says about a CSV file.

    Attributes:
        count: records from the first on that agree with the file.
        end: length of the file after these.
        marked: length up to which everything was on disk, by any record.
        closed: whether all agree and the last is a mark, so that what follows is not ours.
        begun: whether the file's first bytes are ours, also where they are torn.
    """

    count: int
    end: int
    marked: int
    closed: bool
    begun: bool


def file_size(path: Path) -> int:
    """Return the length of a file, 0 where it is not there.

    Args:
        path: the file.
    """
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def repair(path: Path, log: AppliedLog, csv_format: CsvFormat, *, adopt: bool) -> int:
    """Cut both files back to where they agree.

    Args:
        path: the CSV file.
        log: its side file.
        csv_format: the dialect.
        adopt: keep the rows of a file that has no side file.

    Returns:
        Length of the CSV file; 0 where it starts anew.
    """
    csv_rewrite.settle(path, log.path)
    size = file_size(path)
    survey = _survey(path, log.path, size)
    if 0 < size < survey.marked and survey.end != size:
        return _take_as_it_is(path, log, csv_format)
    log.keep(survey.count)
    if survey.count == 0:
        keep = adopt and size and not survey.begun
        return _complete(path, log, csv_format) if keep else 0
    if size > survey.end:
        if survey.closed:
            return _complete(path, log, csv_format)
        os.truncate(path, survey.end)
    return survey.end


def _survey(path: Path, side: Path, size: int) -> _Survey:
    fitting = trusted = trusted_end = marked = total = 0
    begun = False
    for total, noted in enumerate(applied.read(side), 1):
        begun = begun or (noted.kind == applied.ROW and noted.start == 0 < noted.end)
        if noted.kind == applied.MARK:
            marked = max(marked, noted.end)
        if fitting == total - 1 and (noted.end <= size or noted.kind == applied.REWRITTEN):
            fitting = total
            if noted.kind == applied.MARK:
                trusted, trusted_end = total, noted.end
    if marked > size:
        trusted = trusted_end = 0  # somebody shortened the file: look at all of it
    closed = total == fitting == trusted
    count, end = trusted, trusted_end
    if fitting > trusted:
        with open(path if size else os.devnull, "rb") as file:  # noqa: PTH123  # either of the two
            for noted in itertools.islice(applied.read(side), trusted, fitting):
                if noted.kind == applied.ROW and not _holds(file, noted):
                    break
                count += 1
                end = end if noted.kind == applied.REWRITTEN else noted.end
    return _Survey(count, end, marked, closed, begun)


def _holds(file: BinaryIO, noted: Noted) -> bool:
    file.seek(noted.start)
    return zlib.crc32(file.read(noted.end - noted.start)) == noted.crc


def _take_as_it_is(path: Path, log: AppliedLog, csv_format: CsvFormat) -> int:
    """Forget where the rows were, but not which events were applied."""
    rows = [each for each in applied.read(log.path) if each.kind == applied.ROW]
    length = _made_whole(path, csv_format)
    records = [*(each._replace(start=0, end=0, crc=0) for each in rows), applied.mark(length)]
    # at once: without its mark the file would count as torn
    durable.write(log.path, applied.MAGIC + b"".join(map(applied.encode, records)))
    log.keep(len(records))
    return length


def _complete(path: Path, log: AppliedLog, csv_format: CsvFormat) -> int:
    """End somebody's file with a complete row, mark it as trusted, and return its length."""
    length = _made_whole(path, csv_format)
    if length:
        log.append(applied.mark(length))
    return length


def _made_whole(path: Path, csv_format: CsvFormat) -> int:
    length = csv_format.complete(path)
    durable.sync_file(path)
    return length
