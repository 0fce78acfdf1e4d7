"""The dialect of CSV files: rows to bytes, and files to rows without touching their bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

Cell = str | int | float | None
Dialect = str | csv.Dialect | type[csv.Dialect] | Mapping[str, Any]
_SETTINGS: Final = (
    "delimiter",
    "quotechar",
    "escapechar",
    "doublequote",
    "skipinitialspace",
    "lineterminator",
    "quoting",
)
#: DRYTorch's: like Excel's, with quotes around everything that is no number.
DEFAULT: Final[Mapping[str, Any]] = {
    "delimiter": ",",
    "quotechar": '"',
    "doublequote": True,
    "skipinitialspace": False,
    "lineterminator": "\r\n",
    "quoting": csv.QUOTE_NONNUMERIC,
}


class CsvFormat:
    """Rows of one dialect.

    Attributes:
        settings: the dialect's settings as plain data.
    """

    def __init__(self, dialect: Dialect = DEFAULT) -> None:
        self.settings: dict[str, Any] = _settings(dialect)
        self._end: str = self.settings["lineterminator"]
        self._delimiter: str = self.settings["delimiter"]
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, **self.settings)
        # numbers stay as they are written; a cell of its own type is made by who reads
        quoting = self.settings["quoting"]
        reading = csv.QUOTE_NONE if quoting == csv.QUOTE_NONE else csv.QUOTE_MINIMAL
        self._reading = self.settings | {"quoting": reading}

    def row(self, cells: Sequence[Cell]) -> bytes:
        """Return a row, None as an empty cell.

        Args:
            cells: texts and numbers.
        """
        if None not in cells:
            return self._written(cells).encode()
        return self._joined(cells)

    def longer(self, raw: bytes, cells: Sequence[Cell]) -> bytes:
        """Return a row with more cells at its end, the others untouched.

        Args:
            raw: a complete row.
            cells: what to add.
        """
        if not cells:
            return raw
        # a file that somebody edited may have other line ends
        body = raw.removesuffix(self._end.encode()).rstrip(b"\r\n")
        return body + self._delimiter.encode() + self._joined(cells)

    def rows(self, file: TextIO) -> Iterator[tuple[bytes, list[str]]]:
        """Yield each complete row, as its bytes and as its cells.

        Args:
            file: a file opened with `newline=''`.
        """
        pending: list[str] = []

        def lines() -> Iterator[str]:
            for line in file:
                pending.append(line)
                yield line

        for cells in csv.reader(lines(), **self._reading):
            raw = "".join(pending)
            pending.clear()
            if raw.endswith((self._end, "\n", "\r")):
                yield raw.encode(), cells

    def complete(self, path: Path) -> int:
        """End a file with a complete row: add a missing line end, or cut off a torn row.

        Args:
            path: the file.

        Returns:
            Its length.
        """
        length = width = 0
        with path.open(newline="", encoding="utf-8") as file:
            for raw, cells in self.rows(file):
                length += len(raw)
                width = width or len(cells)
        with path.open("r+b") as binary:
            binary.seek(length)
            rest = binary.read()
            whole = rest.decode(errors="replace") + self._end
            finished = [*self.rows(io.StringIO(whole, newline=""))]
            if rest and len(finished) == 1 and len(finished[0][1]) == width:
                binary.write(self._end.encode())
                return length + len(rest) + len(self._end.encode())
            binary.truncate(length)
        return length

    def _joined(self, cells: Sequence[Cell]) -> bytes:
        texts = ["" if cell is None else self._alone(cell) for cell in cells]
        return (self._delimiter.join(texts) + self._end).encode()

    def _alone(self, cell: Cell) -> str:
        # never as the only one: an empty text alone is refused without quotes
        return self._written([cell, 0]).removesuffix(self._delimiter + self._written([0]))

    def _written(self, cells: Sequence[Cell]) -> str:
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow(cells)
        return self._buffer.getvalue()


def _settings(dialect: Dialect) -> dict[str, Any]:
    if isinstance(dialect, Mapping):
        settings = dict(dialect)
        csv.writer(io.StringIO(), **settings)
        return dict(DEFAULT) | settings
    chosen = csv.get_dialect(dialect) if isinstance(dialect, str) else dialect
    return {name: getattr(chosen, name, None) for name in _SETTINGS}
