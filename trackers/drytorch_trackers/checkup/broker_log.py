"""The log of a detached broker: what it says since its last start."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from drytorch_schemas.folders import journal_dir
from drytorch_trackers.checkup.finding import Finding
from drytorch_trackers.wording import plural, short

_NAME: Final = "broker.log"
_TAIL_BYTES: Final = 1 << 16
_LINE: Final = re.compile(r"(\S+) (INFO|WARNING|ERROR|CRITICAL) (.*)")
_BEGIN, _END = "listening on", "stopping"
_MAX_SHOWN: Final = 120


class _Line(NamedTuple):
    time: str
    level: str
    text: str


def look(status: Mapping[str, Any] | None) -> Finding:
    """Return the errors of the broker's log since the last start of one.

    They are a problem unless that broker got over them: it is ready, or left in good order.

    Args:
        status: what the running broker said of itself, None where none answers.
    """
    path = journal_dir() / _NAME
    if not path.exists():
        return Finding("broker log", "none yet", facts={"file": str(path), "errors": []})
    lines = _since_start(path)
    errors = [line for line in lines if line.level in {"ERROR", "CRITICAL"}]
    facts = {"file": str(path), "errors": [line._asdict() for line in errors]}
    if not errors:
        return Finding("broker log", "no errors since its last start", facts=facts)
    last = f"{errors[-1].time} {errors[-1].text[:_MAX_SHOWN]}"
    text = f"{plural(len(errors), 'error')} since its last start, the last: {last}"
    if lines[-1].text.startswith(_END) or (status is not None and status.get("ready")):
        return Finding("broker log", text, facts=facts)
    problem = f"The broker is or ended in trouble ({last}): look into {short(path)}."
    return Finding("broker log", text, [problem], facts)


def _since_start(path: Path) -> list[_Line]:
    """Return a log's last lines, from the last start of a broker on."""
    lines: list[_Line] = []
    for line in _parsed(path):
        if line.text.startswith(_BEGIN):
            lines = []
        lines.append(line)
    return lines


def _parsed(path: Path) -> Iterator[_Line]:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        tail = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    for text in tail.splitlines():
        match = _LINE.fullmatch(text)
        if match:
            yield _Line(match[1], match[2], match[3])
        elif text.startswith("{"):
            yield from _of_json(text)


def _of_json(text: str) -> Iterator[_Line]:
    """Yield the line that a JSON object stands for, nothing where it was cut."""
    try:
        fields = json.loads(text)
        time = datetime.datetime.fromtimestamp(float(fields["time"]), datetime.UTC)
        yield _Line(
            time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            str(fields["level"]).upper(),
            str(fields["message"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return
