"""Where a worker's events come from, as far as the loop that feeds the engine needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from drytorch_schemas.envelope import Envelope
from drytorch_trackers.sink import Letter


@dataclass(frozen=True, slots=True)
class Chunk:
    """A bounded part of the journal.

    Attributes:
        records: offsets and encoded envelopes, in offset order.
        covered_to: everything that matches below this offset was given by now.
        caught_up: whether nothing more is there at the moment.
    """

    records: Sequence[tuple[int, bytes]]
    covered_to: int
    caught_up: bool


class Source(Protocol):
    """A journal that grows, and the cursor that is kept for this worker.

    Every method may raise `SourceAwayError`; the loop then tries again.

    Attributes:
        position: the offset at which the worker begins.
        kept: whether the cursor was kept from before.
        journal: the journal's id; another one after the journal was replaced.
    """

    position: int
    kept: bool
    journal: str

    def attach(self) -> None:
        """Take the worker's name and set `position` and `kept`."""

    def fetch(self, start: int) -> Chunk:
        """Return what is there from an offset on; from elsewhere where the journal was replaced."""

    def wait(self, seconds: float) -> None:
        """Wait for news, at most so many seconds."""

    def live(self) -> list[Envelope]:
        """Return the live events that came meanwhile, the latest of each source only."""

    def open_runs(self) -> list[str]:
        """Return the UUIDs of matching runs that began below `position` and did not end there."""

    def has_runs(self) -> bool:
        """Tell whether any matching run is known."""

    def put_aside(self, letters: Sequence[Letter]) -> None:
        """Keep dead letters."""

    def commit(self, cursor: int, last_error: str) -> None:
        """Keep the cursor."""

    def history(self, run: str, before: int, *, whole: bool) -> Iterable[tuple[int, bytes]]:
        """Yield a run's context, or all of it, below an offset."""

    def detach(self, *, done: bool) -> None:
        """Give the name back; `done` where nothing is left to do for ever."""
