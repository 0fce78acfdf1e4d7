"""How numbers, names and paths are written for people."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_MOST_NAMED: Final = 3


def plural(count: int, what: str) -> str:
    """Return a number with a noun: `1 spool`, `2 spools`.

    Args:
        count: how many.
        what: the noun, whose plural ends with s.
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def size(count: float) -> str:
    """Return a number of bytes for people.

    Args:
        count: bytes.
    """
    for unit in _UNITS:
        if count < _STEP or unit == _UNITS[-1]:
            break
        count /= _STEP
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def short(path: Path | str) -> str:
    """Return a path as a user would write it, with `~` for the home folder.

    Args:
        path: an absolute path.
    """
    text, home = str(path), os.path.expanduser("~")  # noqa: PTH111  # Path.home() may raise
    return f"~{text.removeprefix(home)}" if text.startswith(f"{home}/") else text


def named(names: Iterable[str]) -> str:
    """Return names as a list of which only the first few are told.

    Args:
        names: the names.
    """
    found = list(names)
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
