"""Which runs a journal holds: how they ended, how many events, when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drytorch_schemas.envelope import check
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import unpack
from drytorch_schemas.topics import TopicFilter


@dataclass(slots=True)
class RunRow:
    """One run.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
        status: `running`, `completed`, `failed` or `lost`.
        events: how many durable events.
        started: time of the first event, nanoseconds since 1970, UTC.
        last: time of the last event, likewise.
    """

    experiment: str
    run_id: str
    run: str
    status: str = "running"
    events: int = 0
    started: int = 0
    last: int = 0

    def plain(self) -> dict[str, Any]:
        """Return the fields as a map."""
        return asdict(self)


def rows_of(records: Iterable[tuple[int, bytes]], wanted: TopicFilter) -> list[RunRow]:
    """Return the runs of a journal in order of their first event.

    Args:
        records: offsets and encoded envelopes.
        wanted: which runs.
    """
    rows: dict[str, RunRow] = {}
    for _, payload in records:
        try:
            wire = check(unpack(payload))
        except DecodingError:
            continue
        if wanted.matches_run(wire["experiment"], wire["run_id"], wire["run"]):
            _add(rows, wire)
    return list(rows.values())


def _add(rows: dict[str, RunRow], wire: Mapping[str, Any]) -> None:
    row = rows.get(wire["run"])
    if row is None:
        row = RunRow(wire["experiment"], wire["run_id"], wire["run"], started=wire["time"])
        rows[wire["run"]] = row
    match wire["kind"]:
        case "StopExperiment":
            status = wire["event"].get("status")
            row.status = status if isinstance(status, str) else "completed"
        case "RunLost":
            row.status = "lost"
        case "StartExperiment" | "RunFound":
            row.status = "running"
        case _:
            pass
    row.events += 1
    row.last = max(row.last, wire["time"])
