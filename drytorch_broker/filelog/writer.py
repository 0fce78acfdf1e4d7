"""`FileLog`: the journal in files. One commit is one write and one fdatasync."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from drytorch_broker import atomic_file, failpoints
from drytorch_broker.errors import LogWriteError
from drytorch_broker.filelog.active import ActiveSegment
from drytorch_broker.filelog.durable_file import DurableFile
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.reading import SegmentReader
from drytorch_broker.filelog.segment import Segment
from drytorch_broker.log import Slice, TopicKey, Wanted
from drytorch_schemas.records import encode_record

_log: Final = logging.getLogger(__name__)
#: What a trial writes at least, bytes.
_TRIAL: Final = 1 << 16
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileLog:
    """A `Log` in a folder. `recovery.open_log` opens it.

    Attributes:
        journal_id: the journal's id.
        folder: where its segments lie.
        rolls: grows whenever the index of a segment, or of a part of it, is saved.
    """

    def __init__(
        self,
        folder: Path,
        journal_id: str,
        segments: list[Segment],
        head: int,
        options: LogOptions,
    ) -> None:
        """Take over what recovery found.

        Args:
            folder: the journal's folder.
            journal_id: the journal's id.
            segments: its segments in offset order, their sizes and ends known.
            head: the offset of the next record.
            options: what was chosen.

        Raises:
            OSError: the last segment or the side file cannot be opened for writing.
        """
        self.journal_id = journal_id
        self.folder = folder
        self._options = options
        self._closed = segments
        self._durable = self._head = head
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._refused_bytes = 0  # what the last failed commit would have needed
        self.rolls = 0
        self._active: ActiveSegment | None = None
        self._reader = SegmentReader()
        self._synced_at = time.monotonic()
        self._dirty = False
        self._index_every = min(options.index_every, options.segment_bytes // 4)
        self._indexed = 0  # bytes of the active segment that the index in its side file covers
        self._side_file = DurableFile(folder, journal_id)
        self._side_file.write(head)
        self._side_file.sync()
        last = segments[-1] if segments else None
        if (
            last
            and last.end == head
            and last.size < options.segment_bytes
            and last.index is not None
        ):
            self._active = ActiveSegment(segments.pop(), None)

    # ---- bounds

    @property
    def start(self) -> int:
        """The first offset that is still kept."""
        first = self._closed[0] if self._closed else self._active and self._active.segment
        return first.first if first else self._durable

    @property
    def head(self) -> int:
        """The offset that the next appended record gets."""
        return self._head

    @property
    def durable(self) -> int:
        """Everything below this offset is durable and can be read."""
        return self._durable

    @property
    def size(self) -> int:
        """Bytes of all segments, as far as they are durable."""
        return sum(segment.size for segment in self.segments)

    @property
    def damages(self) -> list[str]:
        """What was found damaged while it was read, one sentence each."""
        return [f"record {offset}: {why}" for offset, why in self._reader.damaged.items()]

    @property
    def segments(self) -> list[Segment]:
        """All segments in offset order, the active one last."""
        return [*self._closed, *([self._active.segment] if self._active else [])]

    # ---- writing

    def append(
        self, kind: int, payloads: Sequence[bytes], topics: Sequence[TopicKey | None]
    ) -> int:
        """Append records in memory and return the offset of the first."""
        failpoints.hit("journal.append")
        active = self._active or self._plan()
        segment, first = active.segment, self._head
        assert segment.index is not None  # noqa: S101  # an active segment's index is in memory
        add, keep, salt = segment.index.add, self._pending.append, segment.salt
        offset, position = first, segment.size + self._pending_bytes
        for payload, topic in zip(payloads, topics, strict=True):
            record = encode_record(kind, offset, payload, salt)
            keep(record)
            add(position, topic)
            position += len(record)
            offset += 1
        self._head, self._pending_bytes = offset, position - segment.size
        return first

    def sync(self) -> None:
        """Make everything appended durable, as the chosen policy understands it."""
        active = self._active
        if active is None or not (self._pending or self._dirty):
            return
        self._refused_bytes = self._pending_bytes
        if self._pending and self.size + self._pending_bytes > self._options.max_bytes:
            text = f"the journal has reached its limit of {self._options.max_bytes} bytes"
            raise LogWriteError(text, full=True)
        try:
            if self._pending:
                active.write(b"".join(self._pending))
                self._dirty = True
            if self._fsync_is_due():
                active.sync()
                self._dirty, self._synced_at = False, time.monotonic()
        except OSError as error:
            full = error.errno in _NO_ROOM
            if error.errno == errno.EFBIG:
                self._refused_bytes = 0  # a new segment has room
                active.give_up()
            raise LogWriteError(f"{active.segment.path}: {error.strerror}", full=full) from error
        self._refused_bytes = 0
        if self._pending:
            self._accept(active)

    def _fsync_is_due(self) -> bool:
        if self._options.fsync == "interval":
            return time.monotonic() - self._synced_at >= self._options.fsync_interval
        return self._options.fsync == "batch"

    def _accept(self, active: ActiveSegment) -> None:
        active.accept(active.segment.size + self._pending_bytes, self._head)
        self._pending.clear()
        self._pending_bytes = 0
        self._durable = self._head
        with contextlib.suppress(OSError):  # it may be behind
            self._side_file.write(self._durable)
        if active.segment.size >= self._options.segment_bytes:
            self._retire(active)
        elif active.segment.size - self._indexed >= self._index_every:
            self._indexed = active.segment.size
            self._save_index(active.segment)

    def _save_index(self, segment: Segment) -> bool:
        """Write a segment's index to its side file; a failure only costs a longer start."""
        assert segment.index is not None  # noqa: S101  # an active segment's index is in memory
        self.rolls += 1
        try:
            segment.index.save(segment.index_path, segment.size, segment.salt)
        except OSError as error:
            _log.warning("%s: %s", segment.index_path, error.strerror)
            return False
        return True

    def rollback(self) -> None:
        """Forget what was appended since the last `sync` that succeeded."""
        self._pending.clear()
        self._pending_bytes = 0
        self._head = self._durable
        if (active := self._active) is None:
            return
        assert active.segment.index is not None  # noqa: S101  # as in append
        active.segment.index.truncate(self._durable - active.segment.first)
        if not active.undo():
            _log.warning("%s is not written any more, a new segment follows", active.segment.path)
            self._retire(active)

    def _plan(self) -> ActiveSegment:
        planned, header = Segment.planned(self.folder, self.journal_id, self._head)
        self._active = ActiveSegment(planned, header)
        return self._active

    def _retire(self, active: ActiveSegment) -> None:
        """Close the active segment; the next record begins a new one."""
        segment = active.segment
        if self._dirty and self._options.fsync == "interval":
            with contextlib.suppress(OSError):
                active.sync()
        active.close()
        failpoints.hit("journal.full")
        self._active, self._dirty, self._indexed = None, False, 0
        if active.holds_records:
            if self._save_index(segment) and segment.index is not None:
                self._reader.remember(segment.first, segment.index)
                segment.index = None
            self._closed.append(segment)

    def writable(self) -> bool:
        """Tell whether there is room, on the disk and below the limit, for what failed last."""
        if self.size + self._refused_bytes > self._options.max_bytes:
            return False
        trial = self.folder / "trial"
        try:
            atomic_file.write(trial, bytes(max(_TRIAL, self._refused_bytes)), durable=True)
            trial.unlink()
        except OSError:
            return False
        return True

    def read(
        self, start: int, end: int, wanted: Wanted | None, max_bytes: int, max_records: int
    ) -> Slice:
        """Return envelopes from an offset on."""
        bounds = (max(start, self.start), min(end, self._durable))
        return self._reader.read(self.segments, bounds, wanted, max_bytes, max_records)

    # ---- ending

    def trim(self, before: int) -> int:
        """Remove closed segments that lie wholly before an offset."""
        while self._closed and self._closed[0].end <= before:
            segment = self._closed[0]
            failpoints.hit("journal.trim")
            segment.path.unlink(missing_ok=True)
            failpoints.hit("journal.trimmed")
            del self._closed[0]
            self._reader.forget(segment.first)
            segment.index_path.unlink(missing_ok=True)
            # else a later one may be gone after a power cut, and this one back: a hole
            atomic_file.sync_folder(self.folder)
        return self.start

    def close(self) -> None:
        """Make durable what was accepted, write the index, and release the files."""
        if self._pending:
            self.rollback()
        if (active := self._active) is not None:
            with contextlib.suppress(OSError):
                active.sync()
            segment, index = active.segment, active.segment.index
            if active.holds_records and index is not None:
                with contextlib.suppress(OSError):
                    index.save(segment.index_path, segment.size, segment.salt)
            active.close()
        self._side_file.close()
