"""The client's own file of what is not yet acknowledged: written in batches, trimmed in segments.

It survives the death of the process, not of the host: nothing is forced to disk. The last segment
that is acknowledged as a whole is kept until the next one is, so that a broker that loses power can
ask for it again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drytorch_client.errors import SpoolError
from drytorch_schemas import records, spool_files
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import private_folder
from drytorch_schemas.locks import FileLock
from drytorch_schemas.spool_files import Batch, SpoolMeta


@dataclass(slots=True)
class _Segment:
    path: Path
    first: int
    last: int
    size: int


class Spool:
    """A producer's spool. Its methods may be called by several threads.

    Attributes:
        folder: where it lies.
        broken: whether it cannot be written at the moment.
    """

    def __init__(self, base: Path, meta: SpoolMeta, *, max_bytes: int, segment_bytes: int) -> None:
        """Initialize; nothing is written before `open`.

        Args:
            base: folder of all spools of this host.
            meta: whose it is, and for which broker.
            max_bytes: most bytes of all segments.
            segment_bytes: size from which the next segment begins.
        """
        self.folder: Final = spool_files.spool_folder(base, meta.producer)
        self.broken = True
        self._meta: Final = meta
        self._max_bytes: Final = max_bytes
        self._segment_bytes: Final = segment_bytes
        self._guard: Final = threading.RLock()
        self._lock = FileLock(spool_files.lock_path(self.folder))
        self._segments: list[_Segment] = []
        self._descriptor: int | None = None
        self._salt = 0
        self._size = 0

    def open(self) -> None:
        """Make the folder and take its lock; also after something broke.

        Raises:
            SpoolError: it cannot be written.
        """
        with self._guard:
            try:
                private_folder(self.folder.parent)
                private_folder(self.folder)
                # the folder may have been removed together with the file that is locked
                if not self._lock.held or not self._lock.path.exists():
                    self._lock.release()
                    if not self._lock.acquire():
                        raise SpoolError(f"The spool {self.folder} is taken: remove its folder.")
                spool_files.write_meta(self.folder, self._meta)
            except (OSError, SchemaError) as error:
                raise SpoolError(f"The spool {self.folder} cannot be made: {error}") from error
            self.broken = False

    @property
    def oldest(self) -> int | None:
        """The oldest sequence number in it, None where it is empty."""
        with self._guard:
            return self._segments[0].first if self._segments else None

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self._size

    @property
    def full(self) -> bool:
        """Whether its limit is reached."""
        return self._size >= self._max_bytes

    def append(self, first: int, count: int, body: bytes) -> None:
        """Write a batch.

        Args:
            first: sequence number of its first event.
            count: its number of events.
            body: the body of the uplink message.

        Raises:
            SpoolError: it cannot be written; the spool is broken until `open` mends it.
        """
        with self._guard:
            if self.broken:
                raise SpoolError(f"The spool {self.folder} cannot be written.")
            try:
                if self._descriptor is None or self._segments[-1].size >= self._segment_bytes:
                    self._begin_segment(first)
                self._write(first, count, body)
            except OSError as error:
                self._close_segment()
                self.broken = True
                raise SpoolError(
                    f"The spool {self.folder} cannot be written: {error.strerror}"
                ) from error

    def _begin_segment(self, first: int) -> None:
        self._close_segment()
        if self._segments and self._segments[-1].last < self._segments[-1].first:
            self._segments.pop()  # its first batch could not be written
        path = self.folder / spool_files.segment_name(first)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            header = records.Header(records.SPOOL, self._meta.producer, first)
            _write_all(descriptor, records.encode_header(header))
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._salt = descriptor, header.salt
        self._segments.append(_Segment(path, first, first - 1, 0))

    def _write(self, first: int, count: int, body: bytes) -> None:
        if self._descriptor is None:
            raise FileNotFoundError(2, "no segment is open")
        record = records.encode_record(records.BATCH, first, body, self._salt)
        _write_all(self._descriptor, record)
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(2, "somebody removed its file")
        segment = self._segments[-1]
        segment.last = first + count - 1
        segment.size += len(record)
        self._size += len(record)

    def _close_segment(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def read(self, seq: int) -> list[Batch]:
        """Return the batches from a sequence number on, at most to the end of their segment.

        Args:
            seq: a sequence number that the first of them holds.

        Returns:
            The batches; none where they cannot be read any more.
        """
        with self._guard:
            path = next((each.path for each in self._segments if seq <= each.last), None)
        if path is None:
            return []
        try:
            return [
                item
                for item in spool_files.batches(path)
                if isinstance(item, Batch) and item.first + item.count > seq
            ]
        except (OSError, SchemaError):
            return []

    def lose(self, seq: int) -> int | None:
        """Give up the segment that holds a number, since it cannot be read any more.

        Args:
            seq: the sequence number.

        Returns:
            The first number of the next segment, None where there is none.
        """
        with self._guard:
            place = next((n for n, each in enumerate(self._segments) if seq <= each.last), None)
            if place is None:
                return None
            behind = self._segments[place + 1 :]
            self._remove(place)
            return behind[0].first if behind else None

    def survey(self) -> int:
        """Give up segments that somebody removed, and what follows them.

        Returns:
            The last sequence number that is still there, 0 where nothing is.
        """
        with self._guard:
            for place, segment in enumerate(self._segments):
                if not segment.path.exists():
                    for _ in self._segments[place:]:
                        self._remove(place)
                    break
            return self._segments[-1].last if self._segments else 0

    def trim(self, durable: int) -> None:
        """Remove segments that are acknowledged, all but the last of them.

        Args:
            durable: the last acknowledged sequence number.
        """
        with self._guard:
            while len(self._segments) > 1 and self._segments[1].last <= durable:
                if self._segments[1].last < self._segments[1].first:
                    break  # just begun
                self._remove(0)

    def _remove(self, place: int) -> None:
        segment = self._segments.pop(place)
        if place == len(self._segments):  # it was the last one, which is written to
            self._close_segment()
        with contextlib.suppress(OSError):
            segment.path.unlink(missing_ok=True)
        self._size -= segment.size

    def close(self, *, remove: bool) -> None:
        """Give the lock back.

        Args:
            remove: whether everything is acknowledged, so that nobody needs the folder.
        """
        with self._guard:
            self._close_segment()
            self.broken = True
            if remove and self._lock.held:
                with contextlib.suppress(OSError):
                    spool_files.remove_spool(self.folder)
            self._lock.release()

    def abandon(self) -> None:
        """Close a forked child's copies of descriptors; the parent's are left alone."""
        self._close_segment()
        self.broken = True


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # the disk is nearly full: the next write says so
        data = data[written:]
        written = os.write(descriptor, data)
