"""Names that came with events, made safe as names of files and folders."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import unquote

from drytorch_trackers.errors import UnsafeNameError

#: Most bytes in a file's name, on every file system in use.
_MAX_BYTES: Final = 255
_HASH_DIGITS: Final = 16
#: What separates folders or hides on a terminal; and what would read as an escape.
_UNSAFE: Final = re.compile("[/\x00-\x1f\x7f]|%(?=[0-9A-Fa-f]{2})")


def escape(name: str, suffix: str = "") -> str:
    """Return a name as a file name; two names never give the same one.

    Args:
        name: name of an experiment, run, model or source.
        suffix: what follows the name, for example `.csv`.

    Raises:
        UnsafeNameError: the name is empty, `.`, or `..`.
    """
    if name in ("", ".", ".."):
        raise UnsafeNameError(f"Name {name!r} cannot name a file: choose another name.")
    escaped = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    if len((escaped + suffix).encode()) <= _MAX_BYTES:
        return escaped + suffix
    # too long: its beginning, for people, and a digest, for uniqueness
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    room = _MAX_BYTES - len(suffix.encode()) - _HASH_DIGITS - 1
    return f"{escaped.encode()[:room].decode(errors='ignore')}~{digest}{suffix}"


def unescape(file_name: str) -> str:
    """Return the name that a file name stands for, where it was not too long.

    Args:
        file_name: what `escape` returned, without the suffix.
    """
    return unquote(file_name)


def run_parts(run_id: str) -> tuple[str, ...]:
    """Return the folders of a run below its experiment's: day and time, or the id itself.

    Args:
        run_id: identifier of the run.

    Raises:
        UnsafeNameError: a part cannot name a folder.
    """
    day, _, time = run_id.partition("@")
    return (escape(day), escape(time)) if day and time else (escape(run_id),)
