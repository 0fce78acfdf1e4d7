"""Text for a terminal: tables, times, and names whose control characters are spelled out."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Any

from drytorch_trackers.terminal import printable


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under a header, in columns that are as wide as they must be.

    Args:
        header: names of the columns.
        rows: one cell for each column.
    """
    cells = [list(header), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def local_time(nanoseconds: int) -> str:
    """Return a time as this host's clock shows it, empty for none.

    Args:
        nanoseconds: since 1970, UTC.
    """
    if not nanoseconds:
        return ""
    moment = datetime.datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def as_json(value: Any) -> str:
    """Return plain data as JSON; bytes as hexadecimal digits.

    Args:
        value: plain data.
    """
    return json.dumps(value, default=_rare, ensure_ascii=False, separators=(", ", ": "))


def _rare(value: object) -> object:
    return value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
