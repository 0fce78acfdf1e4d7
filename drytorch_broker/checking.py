"""`drytorch-broker check`: read journals as any reader does, and say what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drytorch_broker.log import TopicKey
from drytorch_broker.runs import Runs
from drytorch_schemas import envelope, journal_reader
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.packing import unpack
from drytorch_schemas.records import ENVELOPE


@dataclass(slots=True)
class Checked:
    """What a journal holds.

    Attributes:
        path: a segment or a journal folder.
        records: readable records.
        first: offset of the first; None without any.
        last: offset of the last; None without any.
        runs: what is known of each run.
        damages: what is wrong, one sentence each.
    """

    path: Path
    records: int = 0
    first: int | None = None
    last: int | None = None
    runs: Runs = field(default_factory=Runs)
    damages: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "path": str(self.path),
            "records": self.records,
            "first": self.first,
            "last": self.last,
            "runs": [
                {
                    "experiment": info.experiment,
                    "run_id": info.run_id,
                    "run": info.run,
                    "status": info.status,
                    "events": info.events,
                }
                for info in self.runs.by_uuid.values()
            ],
            "damages": self.damages,
        }


def check(path: Path) -> Checked:
    """Read a journal from end to end.

    Args:
        path: a segment, or a folder with segments.

    Raises:
        SchemaError: it is not a journal, or of a newer version.
        OSError: it cannot be read.
    """
    found = Checked(path)
    for item in journal_reader.read(path):
        if isinstance(item, journal_reader.Damage):
            found.damages.append(_describe(item))
            continue
        found.records += 1
        found.first = item.offset if found.first is None else found.first
        found.last = item.offset
        if item.kind == ENVELOPE:
            _look_into(found, item)
    return found


def _look_into(found: Checked, record: journal_reader.Record) -> None:
    try:
        wire = envelope.check(unpack(record.payload))
    except SchemaError as error:
        found.damages.append(f"record {record.offset} is no envelope: {error}")
        return
    key = TopicKey(wire["experiment"], wire["run_id"], wire["run"], wire["kind"])
    found.runs.apply_record(record.offset, key, wire)


def _describe(damage: journal_reader.Damage) -> str:
    text = damage.reason
    if damage.source:
        text = f"{damage.source}: {text}"
    if damage.size:
        text += f" ({damage.size} bytes at {damage.position})"
    if damage.first_offset is not None:
        last = "?" if damage.last_offset is None else damage.last_offset
        text += f", records {damage.first_offset} to {last}"
    return text + (", a torn tail" if damage.torn else "")
