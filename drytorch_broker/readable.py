"""What the commands print for people."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from drytorch_broker import exit_codes
from drytorch_broker.checking import Checked, check
from drytorch_schemas.errors import SchemaError

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


def plain(text: str) -> str:
    """Return a text whose control characters are escaped: names come from anybody.

    Args:
        text: any text.
    """
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in _UNITS:
        if count < _STEP or unit == _UNITS[-1]:
            break
        count /= _STEP
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def status(data: dict[str, Any]) -> str:
    """Return a broker's status.

    Args:
        data: what it answered.
    """
    state = "ready" if data["ready"] else f"NOT ACKNOWLEDGING: {data['reason']}"
    used = f"{size(data['bytes'])} of at most {size(data['max_bytes'])}"
    counts = f"{data['events']} events, {data['duplicates']} duplicate batches"
    lines = [
        f"broker      {state}",
        f"listens on  {data['url']} (process {data['pid']})",
        f"journal     {data['folder']} ({data['journal']})",
        f"holds       offsets {data['start']} to {data['head']}, {used}, fsync {data['fsync']}",
        f"at work     {data['producers']} producers, {data['workers']} workers",
        f"since start {counts}",
    ]
    refused = ", ".join(f"{count} {reason}" for reason, count in data["rejected"].items())
    if refused:
        lines.append(f"refused     {refused}")
    lines += [f"damage      {plain(each)}" for each in data["damage"]]
    return "\n".join(lines)


def checked(path: Path) -> tuple[str, dict[str, Any] | None, int]:
    """Check a journal; return text for people, plain data, and the exit code.

    Args:
        path: a segment, or a folder with segments.
    """
    try:
        found = check(path)
    except FileNotFoundError:
        return (
            f"{path} is not there: give a segment or a journal folder.",
            None,
            exit_codes.NO_INPUT,
        )
    except PermissionError:
        text = f"You may not read {path}: change its permissions."
        return text, None, exit_codes.NO_PERMISSION
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return f"{path} cannot be read: {reason}.", None, exit_codes.IO_ERROR
    except SchemaError as error:
        return str(error), None, exit_codes.DATA
    code = exit_codes.DATA if found.damages else exit_codes.OK
    return _describe(found), found.as_data(), code


def _describe(found: Checked) -> str:
    span = "" if found.first is None else f", offsets {found.first} to {found.last}"
    lines = [f"{found.path}: {found.records} records{span}"]
    lines += [
        f"  run {plain(info.experiment)}/{plain(info.run_id)}: {info.status}, {info.events} events"
        for info in found.runs.by_uuid.values()
    ]
    lines += [f"  damage: {plain(each)}" for each in found.damages] or ["  no damage"]
    return "\n".join(lines)
