"""Dialects of CSV files that make an empty text special."""

import csv
from pathlib import Path
from typing import Any

import pytest

from deliveries import deliver, feed, files, metric
from drytorch_trackers import CSVDumper

FILE = "csv_metrics/Exp/2025-08-01/12h54m21s/net/Trainer.csv"


@pytest.mark.parametrize(
    "dialect",
    [
        {"quoting": csv.QUOTE_NONE, "escapechar": "\\"},
        {"quoting": csv.QUOTE_ALL},
        {"quoting": csv.QUOTE_MINIMAL, "delimiter": ";", "lineterminator": "\n"},
    ],
    ids=["none", "all", "semicolon"],
)
def test_late_metric_without_a_name(tmp_path: Path, dialect: dict[str, Any]) -> None:
    """A metric whose name is empty gets its column, also where nothing is quoted."""
    happened = [metric(1, loss=1), metric(2, values={"": 2}), metric(3, values={"": 3, "loss": 1})]
    tracker = CSVDumper(dialect=dialect)
    feed(tracker, deliver(happened), tmp_path)
    text = files(tmp_path)[FILE].decode()
    header, *rows = (row[2:] for row in csv.reader(text.splitlines(), **dialect))
    assert header == ["Epoch", "loss", ""]
    assert rows == [["1", "1", ""], ["2", "", "2"], ["3", "1", "3"]]
    assert tracker.find_missing(deliver(happened)) == []
