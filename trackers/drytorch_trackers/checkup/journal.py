"""The journal: how large it is, and whether its files can be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import journal_dir
from drytorch_schemas.journal_reader import read_header, segments
from drytorch_trackers.checkup.finding import Finding
from drytorch_trackers.wording import named, plural, short, size

#: Share of the journal's limit from which on its broker warns.
WARN_AT: Final = 0.8


def look(status: Mapping[str, Any] | None) -> Finding:
    """Return how large the journal is, and whether its files can be read.

    Args:
        status: what the running broker said of itself, None where none answers.
    """
    folder = journal_dir()
    files = segments(folder) if folder.is_dir() else []
    used = sum(path.stat().st_size for path in files)
    ids, bad = _headers(files)
    text = f"{plural(len(files), 'segment')}, {size(used)}"
    problems = []
    if status is not None:
        most, damage = int(status.get("max_bytes", 0)), list(status.get("damage", ()))
        text += f" of at most {size(most)}, {int(status.get('head', 0)):,} records"
        if most and used >= WARN_AT * most:
            problems.append(
                f"The journal is nearly full ({text}): start its broker with a larger --max-bytes, "
                f"or with --keep-bytes or --max-age to have old segments removed."
            )
        bad = bad or [plural(len(damage), "place")] * bool(damage)
    if bad:
        problems.append(
            f"The journal is damaged ({named(bad)}): `drytorch-broker check {short(folder)}` says "
            f"what is lost; all other records are delivered."
        )
    if len(ids) > 1:
        problems.append(
            f"Segments of {len(ids)} journals lie in {short(folder)}: move those of the others "
            f"away, with no broker running."
        )
    facts = {"folder": str(folder), "segments": len(files), "bytes": used, "ids": sorted(ids)}
    return Finding("journal", text if files else "none yet", problems, facts)


def _headers(files: list[Path]) -> tuple[set[str], list[str]]:
    """Return the ids of the journals that segments belong to, and the names of bad segments."""
    ids, bad = set(), []
    for path in files:
        try:
            ids.add(read_header(path).journal)
        except (OSError, SchemaError):
            bad.append(path)
    if bad and bad == files[-1:] and not bad[0].stat().st_size:
        bad = []  # just begun
    return ids, [path.name for path in bad]
