"""What the engine tells about its progress, and whom it asks for the past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: an event that a tracker could not handle.

    Attributes:
        offset: where the event lies in the journal.
        tracker: name of the tracker, empty for all.
        error: what was raised, in one line.
        topic: the event's topic.
    """

    offset: int
    tracker: str
    error: str
    topic: str = ""


class Sink(Protocol):
    """What an engine tells, and whom it asks for the past."""

    def put_aside(self, letters: Sequence[Letter]) -> None:
        """Keep dead letters; called before the cursor passes them."""

    def commit(self, cursor: int, last_error: str) -> None:
        """Keep the cursor: everything below it is handled and flushed."""

    def history(self, run: str, before: int, *, whole: bool) -> Iterable[tuple[int, bytes]]:
        """Yield a run's context, or all of it, below an offset: offsets and envelopes."""
