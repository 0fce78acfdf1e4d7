"""The segment that is being written: appending to its file, and what to do when that fails."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from drytorch_broker import atomic_file, failpoints
from drytorch_broker.filelog.segment import Segment


class ActiveSegment:
    """Writes one segment. The file is made by the first `write`.

    Attributes:
        segment: the segment; `size` and `end` cover what is durable.
    """

    def __init__(self, segment: Segment, header: bytes | None) -> None:
        """Initialize.

        Args:
            segment: a planned segment, or one that is there.
            header: its header where it is planned; None where the file is there.

        Raises:
            OSError: the file is there and cannot be opened for writing.
        """
        self.segment = segment
        self._header = header
        self._descriptor: int | None = None
        self._suspect = False
        self._begun = self._name_synced = header is None
        if header is None:
            self._descriptor = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Hand bytes to the kernel, behind the durable ones.

        Args:
            data: whole records.

        Raises:
            OSError: they may be there in part; call `undo`.
        """
        position = self.segment.size
        if self._descriptor is None:
            assert self._header is not None  # noqa: S101  # without a file there is a header
            _put_aside(self.segment.path)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self.segment.path, flags, 0o600)
            failpoints.hit("journal.segment")
        if not self._begun:
            data, position = (self._header or b"") + data, 0
        failpoints.torn("journal.write", self._descriptor, data, position)
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, position)
            view, position = view[written:], position + written
        failpoints.hit("journal.written")

    def sync(self) -> None:
        """Wait until what was written is on disk, for a new file its name as well.

        Raises:
            OSError: nobody knows what is on disk; this file must not be written any more.
        """
        if self._descriptor is None:
            return
        self._suspect = True
        if self._name_synced:
            os.fdatasync(self._descriptor)
        else:
            os.fsync(self._descriptor)
            failpoints.hit("journal.fsync")
            atomic_file.sync_folder(self.segment.path.parent)
            self._name_synced = True
        self._suspect = False
        failpoints.hit("journal.synced")

    def accept(self, size: int, end: int) -> None:
        """Count what was written as durable.

        Args:
            size: bytes of the file up to the last record.
            end: the offset behind the last record.
        """
        self._begun = True
        self.segment.size, self.segment.end = size, end

    def give_up(self) -> None:
        """Let `undo` say that this file cannot be written on."""
        self._suspect = True

    def undo(self) -> bool:
        """Cut off what is not durable; tell whether this file can be written on.

        A file whose fsync failed cannot: a later fsync might succeed over pages that were dropped.
        """
        try:
            if self._descriptor is not None and self._begun:
                os.ftruncate(self._descriptor, self.segment.size)
                return not self._suspect
        except OSError:
            return False
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                self.segment.path.unlink()
        return False

    @property
    def holds_records(self) -> bool:
        """Whether anything durable is in it."""
        return self.segment.end > self.segment.first

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _put_aside(path: Path) -> None:
    """Move away what a broker left that died while it made this segment."""
    if path.exists():
        path.replace(path.with_name(f"torn-{path.stem}.bytes"))
