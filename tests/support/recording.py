"""Stand-ins for the sender and the supervisor: runs that report to a list and start nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drytorch_client.identity import RunIdentity
from drytorch_client.status import SenderStatus
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.events import BatchProgressEvent, Event, MetricEvent


@dataclass
class RecordingSender:
    """Keeps what it is given.

    Attributes:
        events: the events, in order.
        identities: the runs they belong to.
        repeated: events that were given again.
        listeners: who wants to know of a new journal.
        away: whether the broker is away.
        delivers: whether there are to be workers.
    """

    events: list[Event] = field(default_factory=list)
    identities: list[RunIdentity] = field(default_factory=list)
    repeated: list[Event] = field(default_factory=list)
    listeners: list[Callable[[], None]] = field(default_factory=list)
    away: bool = False
    delivers: bool = True

    def emit(self, event: Event, identity: RunIdentity, *, again: bool = False) -> None:
        """Keep an event."""
        (self.repeated if again else self.events).append(event)
        self.identities.append(identity)

    def emit_metrics(
        self,
        kind: type[MetricEvent | BatchProgressEvent],
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any],
        identity: RunIdentity,
    ) -> None:
        """Keep an event with metrics."""
        self.emit(kind(**fields, metrics=dict(metrics)), identity)

    def status(self) -> SenderStatus:
        """Return counts."""
        return SenderStatus(accepted=len(self.events))

    def rest(self) -> int:
        """Return seven where the broker is away."""
        return 7 if self.away else 0

    def on_new_journal(self, listener: Callable[[], None]) -> None:
        """Keep a listener."""
        self.listeners.append(listener)

    def forget_listener(self, listener: Callable[[], None]) -> None:
        """Drop a listener."""
        self.listeners.remove(listener)

    def flush(self, timeout: float) -> bool:
        """Say whether everything is acknowledged."""
        assert timeout >= 0
        return not self.away

    def kinds(self, *, live: bool = False) -> list[str]:
        """Return the kinds of what was kept, live ones only on request."""
        return [event.kind for event in self.events if live or not event.live]

    def of_kind(self, kind: str) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.events if event.kind == kind]


@dataclass
class RecordingSupervisor:
    """Keeps what workers would be told.

    Attributes:
        specs: the specs of workers that were to be started.
        quiet: the names of those that were to keep silent.
    """

    specs: list[WorkerSpec] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)

    def start(self, spec: WorkerSpec, *, quiet: bool = False) -> WorkerSpec:
        """Keep a spec."""
        self.specs.append(spec)
        if quiet:
            self.quiet.append(spec.name)
        return spec

    def wait(self, workers: Iterable[WorkerSpec], timeout: float) -> list[Any]:
        """Say that no worker is left."""
        assert timeout >= 0
        list(workers)
        return []

    def gave_up(self, workers: Iterable[WorkerSpec]) -> list[str]:
        """Say that all trackers have handled everything."""
        list(workers)
        return []


@dataclass
class Recorded:
    """What a test's runs reported and started.

    Attributes:
        sender: the sender of all runs.
        supervisor: the supervisor of all workers.
        forget_names: lets the next experiment have a name again.
    """

    sender: RecordingSender
    supervisor: RecordingSupervisor
    forget_names: Callable[[], None]
