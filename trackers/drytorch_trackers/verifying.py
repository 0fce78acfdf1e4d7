"""Reads journal, spools and artefacts, and tells for each run what is missing where."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drytorch_schemas import spool_files
from drytorch_schemas.envelope import check, from_map
from drytorch_schemas.errors import DecodingError, SchemaError
from drytorch_schemas.folders import spool_dir
from drytorch_schemas.frames import iterate_body
from drytorch_schemas.limits import MAX_EVENT_BYTES
from drytorch_schemas.packing import unpack
from drytorch_trackers.base import Delivery, Missing, Tracker
from drytorch_trackers.completeness import Audit, RunState

Records = Iterable[tuple[int, bytes]]
Wanted = Callable[[str, str, str], bool]
Concerns = Callable[[str, str], bool]

#: Most missing events that are named; all are counted.
_MOST_NAMED: Final = 100


@dataclass(slots=True)
class ArtefactCheck:
    """What one tracker's artefacts hold of a run.

    Attributes:
        tracker: the name that the user gave.
        checked: how many events should be there.
        missing: those that are not.
    """

    tracker: str
    checked: int
    missing: list[Missing]

    def plain(self) -> dict[str, Any]:
        """Return the fields as plain data, with the first hundred of what is missing."""
        return {
            "tracker": self.tracker,
            "checked": self.checked,
            "missing_count": len(self.missing),
            "missing": [
                {
                    "producer": each.delivery.envelope.origin.producer,
                    "seq": each.delivery.envelope.seq,
                    "offset": each.delivery.offset,
                    "kind": each.delivery.envelope.kind,
                    "noted": each.noted,
                }
                for each in self.missing[:_MOST_NAMED]
            ],
        }


@dataclass(slots=True)
class Verdict:
    """One run.

    Attributes:
        state: what journal and spools say.
        artefacts: what the trackers' artefacts say.
    """

    state: RunState
    artefacts: list[ArtefactCheck] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing anywhere."""
        return self.state.complete and not any(each.missing for each in self.artefacts)


def _always(_run: str, _name: str) -> bool:
    return True


def verify(
    records: Callable[[], Records],
    wanted: Wanted,
    trackers: Mapping[str, Tracker],
    concerns: Concerns = _always,
) -> list[Verdict]:
    """Look at runs.

    Args:
        records: reads the journal from its start: offsets and encoded envelopes.
        wanted: tells by experiment, run id and UUID which runs to look at.
        trackers: whose artefacts to look at, set up, by the name that the user gave.
        concerns: tells by a run's UUID and a tracker's name whether they have to do with each
            other; all have by default.
    """
    audit = Audit(wanted)
    for _, payload in records():
        audit.journaled(payload)
    for wire in spooled():
        audit.spooled(wire)
    verdicts = {state.run: Verdict(state) for state in audit.runs()}
    if trackers and verdicts:
        _look_at_artefacts(verdicts, records(), trackers, concerns)
    return list(verdicts.values())


def spooled() -> Iterator[Mapping[str, Any]]:
    """Yield the envelopes in the spools of this host, as maps; unreadable ones are left out."""
    with contextlib.suppress(OSError):
        for folder in sorted(spool_dir().iterdir()):
            for path in spool_files.spool_segments(folder):
                with contextlib.suppress(OSError, SchemaError):
                    yield from _envelopes(path)


def _envelopes(path: Path) -> Iterator[Mapping[str, Any]]:
    for batch in spool_files.batches(path):
        if isinstance(batch, spool_files.Batch):
            for wire, _ in iterate_body(batch.body, batch.count):
                yield check(wire)


def _look_at_artefacts(
    verdicts: Mapping[str, Verdict],
    records: Records,
    trackers: Mapping[str, Tracker],
    concerns: Concerns,
) -> None:
    events: dict[str, dict[str, list[Delivery]]] = {
        run: {name: [] for name in trackers if concerns(run, name)} for run in verdicts
    }
    for delivery in _deliveries(verdicts, records):
        for name, of_run in events[delivery.run].items():
            if delivery.envelope.kind in trackers[name].keeps:
                of_run.append(delivery)
    for run, verdict in verdicts.items():
        for name, of_run in events[run].items():
            missing = trackers[name].find_missing(of_run)
            verdict.artefacts.append(ArtefactCheck(name, len(of_run), missing))


def _deliveries(verdicts: Mapping[str, Verdict], records: Records) -> Iterator[Delivery]:
    """Yield the events of the runs, each once, repetitions for a new broker left out."""
    seen: set[tuple[str, int]] = set()
    for offset, payload in records:
        try:
            wire = check(unpack(payload, MAX_EVENT_BYTES))
            if wire["run"] not in verdicts or wire.get("again"):
                continue
            delivery = Delivery(from_map(wire), offset)
        except DecodingError:
            continue
        if delivery.envelope.identity not in seen:
            seen.add(delivery.envelope.identity)
            yield delivery
