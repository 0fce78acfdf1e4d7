"""What a database can hold: texts, numbers and integers made to fit, by stated rules.

| | SQLite | PostgreSQL | others |
|---|---|---|---|
| NaN | NULL; read as NaN | NaN | NULL |
| NaN in a table of DRYTorch's (no NULL) | kept in `bus_unfit` | NaN | likewise |
| infinities | as they are | as they are | kept in `bus_unfit` |
| integers as values | the nearest float | likewise | likewise |
| NUL in a name | as it is | U+2400 in its place | likewise |
| a name of more than 2,000 bytes | as it is | cut, and ends with `~` and a digest | likewise |
| an epoch beyond the column's range | refused | refused | refused |
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final

from drytorch_trackers.errors import TrackerError

#: Longest name in bytes where an index has a bound; PostgreSQL's is 2,704.
MAX_NAME_BYTES: Final = 2000
_DIGEST: Final = 16
_BITS: Final = {"INTEGER": 31, "BIGINT": 63}


@dataclass(frozen=True, slots=True)
class Fit:
    """What one database can hold.

    Attributes:
        backend: SQLAlchemy's name of the database, such as `sqlite`.
        nullable: whether `logs.value` may be NULL.
    """

    backend: str
    nullable: bool = True

    def text(self, value: str) -> str:
        """Return a name as this database can hold it.

        Args:
            value: the name.
        """
        if self.backend == "sqlite":
            return value
        value = value.replace("\0", "\N{SYMBOL FOR NULL}")
        encoded = value.encode()
        if len(encoded) <= MAX_NAME_BYTES:
            return value
        digest = hashlib.blake2b(encoded, digest_size=_DIGEST // 2).hexdigest()
        kept = encoded[: MAX_NAME_BYTES - _DIGEST - 1]
        return f"{kept.decode(errors='ignore')}~{digest}"

    def number(self, value: float) -> float | None:
        """Return a metric's value, None for NULL.

        Args:
            value: the value.
        """
        number = float(value)
        return None if math.isnan(number) and self.backend != "postgresql" else number

    def fits(self, value: float | None) -> bool:
        """Tell whether a value that `number` gave can stand in `logs`.

        Args:
            value: the value.
        """
        if value is None:
            return self.nullable
        return math.isfinite(value) or self.backend in {"sqlite", "postgresql"}

    def check(self, column: str, value: int, kind: str = "INTEGER") -> None:
        """Refuse an integer that a column cannot hold.

        Args:
            column: what it is called.
            value: the integer.
            kind: the column's type.

        Raises:
            TrackerError: it is out of range.
        """
        bits = 63 if self.backend == "sqlite" else _BITS[kind]
        if not -(2**bits) <= value < 2**bits:
            raise TrackerError(f"{column} {value} is out of the range of {self.backend}'s column.")
