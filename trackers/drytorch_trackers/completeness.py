"""Whether runs are complete: numbers without gaps, nothing declared lost, nothing left in a spool.

Producers number their durable events from 1 without gaps, whatever runs these belong to. Hence a
run is complete where its beginning and its end are in the journal and no number is missing between
the first and the last event that each producer gave to it.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from drytorch_schemas.envelope import check
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import unpack

#: Producers of the broker's own records, which have no numbers without gaps.
_BROKER: Final = "broker-"
_OVER: Final = frozenset({"completed", "failed"})


class Numbers:
    """Sequence numbers as ranges; adding them in their order costs a step each."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, number: int) -> bool:
        """Add a number; tell whether it is new.

        Args:
            number: a sequence number.
        """
        place = bisect.bisect_right(self._firsts, number)
        if place and number <= self._lasts[place - 1]:
            return False
        joins_left = bool(place) and self._lasts[place - 1] == number - 1
        joins_right = place < len(self._firsts) and self._firsts[place] == number + 1
        if joins_left and joins_right:
            self._lasts[place - 1] = self._lasts.pop(place)
            del self._firsts[place]
        elif joins_left:
            self._lasts[place - 1] = number
        elif joins_right:
            self._firsts[place] = number
        else:
            self._firsts.insert(place, number)
            self._lasts.insert(place, number)
        return True

    def __contains__(self, number: int) -> bool:
        place = bisect.bisect_right(self._firsts, number)
        return bool(place) and number <= self._lasts[place - 1]

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges that are missing between two numbers that were added.

        Args:
            first: the lower one.
            last: the higher one.
        """
        place = bisect.bisect_right(self._firsts, first) - 1
        while self._lasts[place] < last:
            yield self._lasts[place] + 1, self._firsts[place + 1] - 1
            place += 1


@dataclass(slots=True)
class Span:
    """What one producer gave to one run.

    Attributes:
        first: its lowest number.
        last: its highest number.
    """

    first: int
    last: int


@dataclass(slots=True)
class RunState:
    """What is known of one run.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
        status: `running`, `completed`, `failed` or `lost`.
        begun: whether its start is there, not only its repetition for a new broker.
        events: durable events in the journal, the broker's own left out.
        twice: events that are in the journal more than once.
        spooled: events that only a spool holds.
        lost: how many events were declared lost, by kind.
        reasons: why they are lost.
        spans: what each producer gave to it.
        missing: ranges of missing numbers by producer, once the audit is over.
    """

    experiment: str
    run_id: str
    run: str
    status: str = "running"
    begun: bool = False
    events: int = 0
    twice: int = 0
    spooled: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)
    spans: dict[str, Span] = field(default_factory=dict)
    missing: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def missing_count(self) -> int:
        """How many numbers are missing."""
        return sum(last - first + 1 for each in self.missing.values() for first, last in each)

    @property
    def complete(self) -> bool:
        """Whether the journal provably holds every event that the run accepted."""
        left = self.missing or self.spooled or self.lost or self.twice
        return self.begun and self.status in _OVER and not left

    def plain(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self) | {
            "complete": self.complete,
            "missing_count": self.missing_count,
            "lost": dict(self.lost),
            "reasons": sorted(self.reasons),
        }


class Audit:
    """Takes the records of one journal, then those of the spools, and tells what is missing."""

    def __init__(self, wanted: Callable[[str, str, str], bool]) -> None:
        """Initialize.

        Args:
            wanted: tells by experiment, run id and UUID which runs to tell about; of the others
                only the numbers are looked at.
        """
        self._wanted = wanted
        self._numbers: dict[str, Numbers] = {}
        self._runs: dict[str, RunState] = {}

    def journaled(self, payload: bytes) -> Mapping[str, Any] | None:
        """Take a record of the journal.

        Args:
            payload: the encoded envelope.

        Returns:
            The envelope's map where it belongs to a wanted run, else None.
        """
        try:
            wire = check(unpack(payload))
        except DecodingError:
            return None
        producer, seq = wire["producer"], wire["seq"]
        of_broker = producer.startswith(_BROKER)
        new = of_broker or self._numbers.setdefault(producer, Numbers()).add(seq)
        state = self._state_of(wire)
        if state is None:
            return None
        if not new:
            state.twice += 1
        elif not of_broker:
            state.events += 1
            _widen(state, producer, seq)
        self._follow(state, wire)
        return wire

    def spooled(self, wire: Mapping[str, Any]) -> None:
        """Take an envelope that a spool holds; call it after all of the journal.

        Args:
            wire: the envelope's map.
        """
        producer, seq = wire["producer"], wire["seq"]
        if self._numbers.setdefault(producer, Numbers()).add(seq):
            state = self._state_of(wire)
            if state is not None:
                state.spooled += 1
                _widen(state, producer, seq)

    def runs(self) -> list[RunState]:
        """Return the wanted runs, in the order in which they were met, with what is missing."""
        for state in self._runs.values():
            gaps = {
                producer: list(self._numbers[producer].gaps(span.first, span.last))
                for producer, span in state.spans.items()
            }
            state.missing = {producer: ranges for producer, ranges in gaps.items() if ranges}
        return list(self._runs.values())

    def _state_of(self, wire: Mapping[str, Any]) -> RunState | None:
        experiment, run_id, run = wire["experiment"], wire["run_id"], wire["run"]
        if not self._wanted(experiment, run_id, run):
            return None
        if run not in self._runs:
            self._runs[run] = RunState(experiment, run_id, run)
        return self._runs[run]

    @staticmethod
    def _follow(state: RunState, wire: Mapping[str, Any]) -> None:
        event = wire["event"]
        match wire["kind"]:
            case "StartExperiment":
                state.begun = state.begun or not wire.get("again")
                if not wire.get("again"):
                    state.status = "running"
            case "StopExperiment":
                status = event.get("status")
                state.status = status if isinstance(status, str) else "completed"
            case "RunLost":
                state.status = "lost"
            case "RunFound":
                state.status = "running"
            case "Loss":
                _add_loss(state, event)
            case _:
                pass


def _add_loss(state: RunState, event: Mapping[str, Any]) -> None:
    kinds = event.get("kinds")
    if isinstance(kinds, dict) and kinds:
        state.lost.update({str(kind): int(count) for kind, count in kinds.items()})
    else:
        state.lost["events"] += int(event.get("count", 0))
    state.reasons.add(str(event.get("reason", "")))


def _widen(state: RunState, producer: str, seq: int) -> None:
    span = state.spans.get(producer)
    if span is None:
        state.spans[producer] = Span(seq, seq)
    else:
        span.first, span.last = min(span.first, seq), max(span.last, seq)
