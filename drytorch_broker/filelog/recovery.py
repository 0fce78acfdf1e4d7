"""Opening a journal after any death: what is whole is served, what is not is reported.

A torn tail (nobody was promised it) is cut off, and kept aside. Damage costs the damaged records
only. Segments that do not fit are left where they are, and not served.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from drytorch_broker import atomic_file, failpoints
from drytorch_broker.batch import BatchReader
from drytorch_broker.errors import JournalFormatError, StorageError
from drytorch_broker.filelog import durable_file
from drytorch_broker.filelog.index import SegmentIndex
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.scan import Known, Observer, Scan, scan_segment
from drytorch_broker.filelog.segment import Segment
from drytorch_broker.filelog.writer import FileLog
from drytorch_schemas import journal_reader
from drytorch_schemas.errors import NotAJournalError, VersionError
from drytorch_schemas.records import JOURNAL, Header, header_size

_COPY_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Recovery:
    """Opens one journal folder.

    Attributes:
        folder: the folder.
        options: options of the log.
        known_id: the journal's id, where a snapshot or side file states it.
        since: offset from which records are shown to `observe`.
        observe: told of every record from `since` on, in order.
        report: what was found wrong, one sentence each.
    """

    folder: Path
    options: LogOptions
    known_id: str | None = None
    since: int = 0
    observe: Observer | None = None
    report: list[str] = field(default_factory=list)
    _reader: BatchReader = field(default_factory=BatchReader)

    def open(self) -> FileLog:
        """Return the journal's log, ready to be written.

        Raises:
            JournalFormatError: a segment is of a newer format version.
            StorageError: the folder cannot be read or written.
        """
        try:
            return self._open()
        except VersionError as error:
            raise JournalFormatError(str(error)) from error
        except OSError as error:
            raise StorageError(
                f"The journal in {self.folder} cannot be opened: {error.strerror} "
                f"({error.filename}); free the device or choose another --journal."
            ) from error

    def _open(self) -> FileLog:
        paths = journal_reader.segments(self.folder)
        headers = self._headers(paths)
        side = durable_file.read(self.folder)
        journal = self._journal_id(headers, side)
        ours = self._ours(headers, journal)
        acknowledged = side[1] if side and side[0] == journal else None
        last = next(reversed(ours), None)
        segments = [
            self._last_segment(path, header, acknowledged)
            if path == last
            else self._segment(path, header)
            for path, header in ours.items()
        ]
        self._settle(segments)
        head = segments[-1].end if segments else 0
        if segments and acknowledged is not None and acknowledged > head:
            self.report.append(
                f"records {head} to {acknowledged - 1} were acknowledged and are not there any more"
            )
            head = acknowledged
        if segments and self.since > head:
            head = self.since
        failpoints.hit("recovery.done")
        return FileLog(self.folder, journal, segments, head, self.options)

    def _headers(self, paths: list[Path]) -> dict[Path, Header]:
        headers = {}
        for path in paths:
            try:
                headers[path] = journal_reader.read_header(path)
            except NotAJournalError as error:
                if path == paths[-1] and path.stat().st_size < 2 * header_size(JOURNAL):
                    self._drop_unborn(path)
                else:
                    self.report.append(f"{path.name} is not served: {error}")
        return headers

    def _journal_id(self, headers: dict[Path, Header], side: tuple[str, int] | None) -> str:
        found = [header.journal for header in headers.values()]
        for known in (self.known_id, side[0] if side else None):
            if known in found:
                return known
        if found:
            return found[0]
        # Nothing was ever written: it is still the same journal. Else somebody removed it.
        return side[0] if side and side[1] == 0 else uuid.uuid4().hex

    def _ours(self, headers: dict[Path, Header], journal: str) -> dict[Path, Header]:
        ours = {}
        for path, header in headers.items():
            if header.journal != journal or header.format != JOURNAL:
                self.report.append(f"{path.name} is not served: it is of another journal")
            elif header.first != journal_reader.first_offset(path):
                self.report.append(
                    f"{path.name} is not served: it begins with offset {header.first}, "
                    f"another file claims that"
                )
            else:
                ours[path] = header
        return ours

    def _segment(self, path: Path, header: Header) -> Segment:
        """Return a closed segment, its index in the side file."""
        segment = self._with_index(path, header)
        if segment.index is None:
            known = self._beginning(segment, header)
            scan = scan_segment(path, self._reader, self._observer(), known=known)
            self.report += scan.damages
            if scan.torn:
                self.report.append(f"{path.name}: {scan.torn} damaged bytes at its end")
            segment.end = scan.end
            scan.index.save(segment.index_path, segment.size, segment.salt)
        segment.index = None
        return segment

    def _last_segment(self, path: Path, header: Header, acknowledged: int | None) -> Segment:
        """Return the segment that was being written, without what its broker left half done."""
        segment = self._with_index(path, header)
        if segment.index is None:
            scan = scan_segment(
                path,
                self._reader,
                self._observer(),
                unacknowledged=acknowledged,
                known=self._beginning(segment, header),
            )
            self.report += scan.damages
            segment.size, segment.end, segment.index = scan.size, scan.end, scan.index
            if scan.torn:
                self._cut(path, scan)
            _make_durable(path)
        return segment

    def _with_index(self, path: Path, header: Header) -> Segment:
        """Return a segment; its index where a side file has it and nobody wants the records."""
        size = path.stat().st_size
        segment = Segment(path, header.first, header.salt, header.created, size, header.first)
        index = SegmentIndex.load(segment.index_path, size, header.salt)
        if index is not None and segment.first + len(index) <= self.since:
            segment.index, segment.end = index, segment.first + len(index)
        return segment

    def _beginning(self, segment: Segment, header: Header) -> Known | None:
        """Return what the side file tells of the records that nobody wants to see."""
        count = self.since - segment.first
        found = SegmentIndex.load_beginning(segment.index_path, segment.size, segment.salt, count)
        return None if found is None else Known(header, *found)

    def _observer(self) -> Observer | None:
        observe, since = self.observe, self.since
        if observe is None:
            return None
        return lambda kind, offset, topic, wire: (
            observe(kind, offset, topic, wire) if offset >= since else None
        )

    def _settle(self, segments: list[Segment]) -> None:
        """Report what is missing between segments, and let the later of two that overlap win."""
        for earlier, later in pairwise(segments):
            if earlier.end < later.first:
                self.report.append(
                    f"records {earlier.end} to {later.first - 1} are missing: "
                    f"a segment before {later.path.name} is gone"
                )
            elif earlier.end > later.first:
                self.report.append(
                    f"{earlier.path.name} and {later.path.name} both claim the offsets from "
                    f"{later.first}: those of the later are served"
                )
                earlier.end = later.first

    def _drop_unborn(self, path: Path) -> None:
        """Remove a segment whose broker died while it was writing the header."""
        if path.stat().st_size:
            kept = self._put_aside(path, 0)
            self.report.append(f"{path.name} has only a part of a header, kept in {kept.name}")
        path.unlink()

    def _cut(self, path: Path, scan: Scan) -> None:
        kept = self._put_aside(path, scan.size)
        self.report.append(f"{path.name}: a torn tail of {scan.torn} bytes is kept in {kept.name}")
        failpoints.hit("recovery.aside")
        os.truncate(path, scan.size)
        failpoints.hit("recovery.cut")

    def _put_aside(self, path: Path, position: int) -> Path:
        """Copy the bytes from a position on to a file of their own."""
        kept = self.folder / f"torn-{path.stem}-{position}.bytes"
        with path.open("rb") as source, kept.open("wb") as target:
            source.seek(position)
            while chunk := source.read(_COPY_BYTES):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        atomic_file.sync_folder(self.folder)
        return kept


def _make_durable(path: Path) -> None:
    """Put on disk what a dead broker wrote but may not have waited for."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    atomic_file.sync_folder(path.parent)
