"""Which events have no row in a CSV file: by what its rows say, not by its side file."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drytorch_trackers import applied
from drytorch_trackers.base import Delivery, Missing
from drytorch_trackers.csv_format import Cell, CsvFormat


@dataclass(frozen=True, slots=True)
class WantedRow:
    """The row that an event should have.

    Attributes:
        delivery: the event.
        base: the cells before those of the metrics.
        metrics: value by name.
    """

    delivery: Delivery
    base: Sequence[Cell]
    metrics: Mapping[str, Cell]


def lacking(
    path: Path, side: Path, base: Sequence[str], csv_format: CsvFormat, wanted: Sequence[WantedRow]
) -> list[Missing]:
    """Return the events without a row of their own.

    Args:
        path: the CSV file.
        side: its side file.
        base: the columns before those of the metrics.
        csv_format: the dialect.
        wanted: the rows that should be there.

    Raises:
        OSError: a file cannot be read.
    """
    header, rows = _read(path, csv_format)
    columns = header[len(base) :] if tuple(header[: len(base)]) == tuple(base) else []
    missing = []
    for each in wanted:
        row = _cells([*each.base, *(each.metrics.get(name) for name in columns)], csv_format)
        if set(each.metrics) <= set(columns) and rows[row]:
            rows[row] -= 1
        else:
            missing.append(each.delivery)
    noted = _noted(side) if missing else set()
    return [Missing(each, _key(each) in noted) for each in missing]


def _noted(side: Path) -> set[tuple[bytes, int]]:
    return {(each.producer, each.seq) for each in applied.read(side) if each.kind == applied.ROW}


def _key(delivery: Delivery) -> tuple[bytes, int]:
    producer, seq = delivery.envelope.identity
    return applied.digest(producer), seq


def _read(path: Path, csv_format: CsvFormat) -> tuple[list[str], Counter[tuple[str, ...]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = (cells for _, cells in csv_format.rows(file))
            header = next(rows, [])
            return header, Counter(tuple(cells) for cells in rows)
    except (FileNotFoundError, NotADirectoryError):
        return [], Counter()


def _cells(values: Sequence[Cell], csv_format: CsvFormat) -> tuple[str, ...]:
    """Return a row's cells as they come back from a file."""
    text = csv_format.row(values).decode()
    return tuple(next(cells for _, cells in csv_format.rows(io.StringIO(text, newline=""))))
