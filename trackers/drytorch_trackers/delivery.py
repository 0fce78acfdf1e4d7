"""What a tracker is given: an event on its way, and what there is to know of the place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way into a tracker.

    Attributes:
        envelope: the event and where it came from.
        offset: its place in the journal; -1 where it has none.
        replayed: whether it repeats what lies before the place where the worker goes on.
    """

    envelope: Envelope
    offset: int = -1
    replayed: bool = False

    @property
    def event(self) -> events.Event:
        """The event itself."""
        return self.envelope.event

    @property
    def run(self) -> str:
        """UUID of the run, the key of all state that a tracker keeps."""
        return self.envelope.origin.run


@dataclass(frozen=True, slots=True)
class Missing:
    """An event that should be in what a tracker wrote, and is not.

    Attributes:
        delivery: the event.
        noted: whether the tracker remembers that it wrote the event, so that somebody else removed
            it, and a replay into the same place would pass it over.
    """

    delivery: Delivery
    noted: bool = False


@dataclass(frozen=True, slots=True)
class TrackerContext:
    """What a worker tells its trackers about the place where they run.

    Attributes:
        par_dir: folder to write under; never one that came with an event.
        worker_name: name under which the worker's cursor is kept.
        terminal: whether the worker's output is a terminal.
    """

    par_dir: Path
    worker_name: str = ""
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that a tracker was subscribed to, as the training process knows it.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
        par_dir: the experiment's parent folder.
        resumed: whether the run continues an earlier one.
        wait: waits, for a bounded time, until what this process emitted was handled by the worker
            of a tracker; takes the object that is going to load.
    """

    experiment: str
    run_id: str
    run: str
    par_dir: Path
    resumed: bool = False
    wait: Callable[[Any], None] | None = None
