"""Read CSV files of metrics back."""

from __future__ import annotations

import math
from pathlib import Path

from drytorch_trackers.csv_format import CsvFormat
from drytorch_trackers.errors import TrackerError
from drytorch_trackers.loading import HistoryMetrics

#: The columns before those of the metrics.
BASE: tuple[str, ...] = ("Model", "Source", "Epoch")
#: What follows the source's name in the name of a file of step metrics.
STEPS = ".steps"


def read_history(path: Path, csv_format: CsvFormat, max_epoch: int = -1) -> HistoryMetrics:
    """Return epochs and values of a file; of epochs that were logged again only the last pass.

    Args:
        path: the file.
        csv_format: the dialect.
        max_epoch: leave out later epochs; -1 for none.

    Returns:
        The epochs, and for each metric its values at these; NaN where a cell is empty.

    Raises:
        TrackerError: the file is no such file.
    """
    epochs: list[int] = []
    with path.open(newline="", encoding="utf-8") as file:
        rows = (cells for _, cells in csv_format.rows(file))
        header = next(rows, [])
        if tuple(header[: len(BASE)]) != BASE:
            raise TrackerError(f"{path} does not start with the columns {', '.join(BASE)}.")
        columns: list[list[float]] = [[] for _ in header[len(BASE) :]]
        for cells in rows:
            epoch, values = _numbers(path, cells, len(columns))
            if epochs and epochs[-1] >= epoch:
                epochs.clear()
                for column in columns:
                    column.clear()
            if max_epoch != -1 and epoch > max_epoch:
                continue
            epochs.append(epoch)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    return epochs, dict(zip(header[len(BASE) :], columns, strict=True)) if epochs else {}


def source_of(path: Path, csv_format: CsvFormat) -> str | None:
    """Return the source whose metrics a file holds, None where it has no rows.

    Args:
        path: the file.
        csv_format: the dialect.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = (cells for _, cells in csv_format.rows(file))
        next(rows, None)
        first = next(rows, None)
    return None if first is None else first[BASE.index("Source")]


def _numbers(path: Path, cells: list[str], count: int) -> tuple[int, list[float]]:
    values = cells[len(BASE) :]
    if len(values) != count:
        raise TrackerError(f"A row of {path} has {len(cells)} cells, not {len(BASE) + count}.")
    try:
        epoch = int(float(cells[len(BASE) - 1]))
        return epoch, [float(value) if value else math.nan for value in values]
    except ValueError as error:
        raise TrackerError(f"A row of {path} cannot be read: {error}.") from None
