"""What DRYTorch's trackers and ours wrote and printed, in forms that can be compared."""

import csv
import math
import sqlite3
from pathlib import Path

from dry_training import FLAG
from screen import show

Rows = dict[str, list[tuple[object, ...]]]
#: Each table's content without surrogate keys and the time of writing: what they refer to instead.
_QUERIES = {
    "experiments": "select experiment_name from experiments order by row_id",
    "tags": "select experiment_name, text from tags join experiments e on e.row_id = experiment_id"
    " order by tags.row_id",
    "runs": "select experiment_name, run_id, run_ts from runs"
    " join experiments e on e.row_id = experiment_id order by runs.row_id",
    "sources": "select run_id, model_name, model_ts, source_name, source_ts from sources"
    " join runs r on r.row_id = run_table_id order by sources.row_id",
    "logs": "select run_id, model_name, source_name, epoch, metric_name, value from logs"
    " join sources s on s.row_id = source_id join runs r on r.row_id = run_table_id"
    " order by logs.row_id",
}


def written(folder: Path, *kinds: str) -> dict[str, bytes]:
    """Return the content of all files that trackers of these kinds wrote, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for kind in kinds
        for path in sorted((folder / kind).rglob("*"))
        if path.is_file()
    }


def rows_of(database: Path) -> Rows:
    """Return the rows of DRYTorch's five tables."""
    connection = sqlite3.connect(database)
    try:
        return {table: connection.execute(query).fetchall() for table, query in _QUERIES.items()}
    finally:
        connection.close()


def screens(output: str) -> dict[str, list[str]]:
    """Return what is on the screen after each experiment, by its name."""
    parts = (part.partition("\n") for part in output.split(FLAG)[1:])
    found: dict[str, str] = {}
    for name, _, text in parts:
        found[name] = found.get(name, "") + text
    return {name: show(text) for name, text in found.items()}


def screen_of(file: Path) -> list[str]:
    """Return what is on the screen after a file's content."""
    with file.open(newline="") as opened:
        return show(opened.read())


def values_in(folder: Path) -> list[tuple[object, ...]]:
    """Return all values of the CSV files under a folder as the table of logs has them."""
    found: list[tuple[object, ...]] = []
    for path in (folder / "csv_metrics").rglob("*.csv"):
        day_and_time = path.relative_to(folder).parts[2:-2]
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        for model, source, epoch, *values in lines:
            for name, value in zip(header[3:], map(float, values), strict=True):
                number = None if math.isnan(value) else value
                found.append(("@".join(day_and_time), model, source, int(epoch), name, number))
    return found
