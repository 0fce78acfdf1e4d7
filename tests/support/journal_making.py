"""Journal segments for tests, written with the project's codec."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from drytorch_schemas import records
from drytorch_schemas.journal_reader import segment_name

JOURNAL = "ab" * 16


def segment(
    payloads: Iterable[bytes], first: int = 0, *, journal: str = JOURNAL, salt: int = 7
) -> bytes:
    """Return the bytes of one segment."""
    header = records.Header(records.JOURNAL, journal, first, salt, 1)
    parts = [records.encode_header(header)]
    for offset, payload in enumerate(payloads, first):
        parts.append(records.encode_record(records.ENVELOPE, offset, payload, salt))
    return b"".join(parts)


def write_journal(
    folder: Path, payloads: Sequence[bytes], per_segment: int = 1000, journal: str = JOURNAL
) -> list[Path]:
    """Write a journal's segments into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for first in range(0, len(payloads), per_segment):
        path = folder / segment_name(first)
        part = payloads[first : first + per_segment]
        path.write_bytes(segment(part, first, journal=journal, salt=first + 7))
        paths.append(path)
    return paths
