"""One CSV file that each event enters once, whatever a crash left."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from drytorch_schemas.failpoints import Failpoints
from drytorch_trackers import applied, csv_repair, csv_rewrite, durable
from drytorch_trackers.applied import AppliedLog, Noted
from drytorch_trackers.csv_format import Cell, CsvFormat
from drytorch_trackers.csv_repair import file_size
from drytorch_trackers.csv_rewrite import Insertion
from drytorch_trackers.errors import TrackerError

Identity = tuple[str, int]


class CsvTable:
    """A CSV file and its side file.

    Attributes:
        path: the CSV file.
        side: its side file, see `applied`.
    """

    def __init__(
        self,
        path: Path,
        side: Path,
        base: tuple[str, ...],
        csv_format: CsvFormat,
        *,
        adopt: bool = False,
        failpoints: Failpoints | None = None,
    ) -> None:
        """Repair what a crash left.

        Args:
            path: the CSV file; made with its first row.
            side: its side file.
            base: the columns before those of the metrics.
            csv_format: the dialect.
            adopt: go on with a file that another program left, instead of replacing it.
            failpoints: where a test has this process killed.

        Raises:
            TrackerError: the file to go on with has other columns before its metrics.
        """
        self.path = path
        self.side = side
        self._base = base
        self._format = csv_format
        self._adopt = adopt
        self._failpoints = failpoints
        self._log = AppliedLog(side)
        self._columns: tuple[str, ...] | None = None
        self._length = 0
        self._stale = True
        self._unsynced = False
        self._new_names = False
        self._open()

    def add(self, identity: Identity, base: Iterable[Cell], metrics: Mapping[str, Cell]) -> bool:
        """Add a row, unless the event has one already.

        Args:
            identity: producer and number of the event.
            base: the cells before those of the metrics.
            metrics: value by name.

        Returns:
            Whether a row was added.
        """
        self._check()
        producer, seq = applied.digest(identity[0]), identity[1]
        if self._log.identities.holds(producer, seq):
            return False
        self._stale = True  # until everything went well
        columns = tuple(metrics) if self._columns is None else self._columns
        later = tuple(name for name in metrics if name not in columns)
        columns += later
        row = self._format.row([*base, *(metrics.get(name) for name in columns)])
        if self._columns is None:
            self._columns = columns
            self._append(producer, seq, self._format.row([*self._base, *columns]) + row)
        elif later or self._log.identities.is_late(producer, seq):
            self._rewrite(Insertion(producer, seq, row, later))
        else:
            self._append(producer, seq, row)
        self._stale = False
        self._unsynced = True
        return True

    def flush(self) -> None:
        """Wait until all rows are on disk."""
        if not self._unsynced:
            return
        durable.sync_file(self.path)
        self._hit("csv.synced")
        if not self._stale:
            self._log.append(applied.mark(self._length))
        durable.sync_file(self.side)
        if self._new_names:
            durable.sync_folder(self.path.parent)
            durable.sync_folder(self.side.parent)
        self._new_names = self._unsynced = False

    def _append(self, producer: bytes, seq: int, data: bytes) -> None:
        start = self._length
        end = start + len(data)
        self._log.append(Noted(applied.ROW, producer, seq, start, end, zlib.crc32(data)))
        self._hit("csv.noted")
        with self._open_csv() as file:
            file.truncate(start)
            file.seek(start)
            if self._failpoints is not None:
                self._failpoints.torn("csv.row", file, data)
            written = file.write(data)
            if written != len(data):
                raise OSError(f"{self.path} took {written} of {len(data)} bytes: is the disk full?")
        self._length = end
        self._hit("csv.written")

    def _open_csv(self) -> BinaryIO:
        if self._length:
            return self.path.open("r+b", buffering=0)
        self._new_names = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.open("wb", buffering=0)

    def _rewrite(self, insertion: Insertion) -> None:
        csv_rewrite.rewrite(self.path, self.side, self._format, insertion, self._failpoints)
        self._open()

    def _check(self) -> None:
        """Look again where somebody else changed the file, or where the last row went wrong."""
        if self._stale or file_size(self.path) != self._length:
            self._open()

    def _open(self) -> None:
        self._length = csv_repair.repair(self.path, self._log, self._format, adopt=self._adopt)
        self._columns = self._read_columns() if self._length else None
        self._stale = False

    def _read_columns(self) -> tuple[str, ...]:
        with self.path.open(newline="", encoding="utf-8") as file:
            header = next((cells for _, cells in self._format.rows(file)), [])
        if tuple(header[: len(self._base)]) != self._base:
            raise TrackerError(
                f"{self.path} does not start with the columns {', '.join(self._base)}: "
                f"move the file away."
            )
        return tuple(header[len(self._base) :])

    def _hit(self, name: str) -> None:
        if self._failpoints is not None:
            self._failpoints.hit(name)
