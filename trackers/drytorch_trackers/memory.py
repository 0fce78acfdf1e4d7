"""A tracker that keeps what it is given, for tests and for looking around."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from drytorch_schemas.events import Event, MetricEvent
from drytorch_trackers.base import Delivery, Tracker

EventT = TypeVar("EventT", bound=Event)


class MemoryTracker(Tracker):
    """Keeps every delivery, and counts how often its other methods were called.

    Attributes:
        deliveries: what was handled, in order, repetitions included.
        flushes: calls of `flush`.
        clean_ups: calls of `clean_up`.
    """

    wants_live = True
    wants_ranks = True

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.flushes = 0
        self.clean_ups = 0

    def handle(self, delivery: Delivery) -> None:
        """Keep the delivery, then notify."""
        self.deliveries.append(delivery)
        super().handle(delivery)

    def flush(self) -> None:
        """Count the call."""
        self.flushes += 1

    def clean_up(self) -> None:
        """Count the call; what was kept stays."""
        self.clean_ups += 1

    def of_run(self, run: str) -> list[Delivery]:
        """Return the deliveries of one run.

        Args:
            run: UUID of the run.
        """
        return [each for each in self.deliveries if each.run == run]

    def events(self, kind: type[EventT], run: str | None = None) -> list[EventT]:
        """Return the events of one class, in order.

        Args:
            kind: the class.
            run: UUID of the run, None for all.
        """
        return [
            each.event
            for each in self.deliveries
            if isinstance(each.event, kind) and run in (None, each.run)
        ]

    def values(self, source: str, metric: str, run: str | None = None) -> list[int | float]:
        """Return the values of one metric, in order.

        Args:
            source: name of the source.
            metric: name of the metric.
            run: UUID of the run, None for all.
        """
        return list(self._values(source, metric, run))

    def _values(self, source: str, metric: str, run: str | None) -> Iterator[int | float]:
        for event in self.events(MetricEvent, run):
            if event.source_name == source and metric in event.metrics:
                yield event.metrics[metric]

    def identities(self) -> list[tuple[str, int]]:
        """Return producer and sequence number of every durable delivery, in order."""
        return [each.envelope.identity for each in self.deliveries if each.envelope.seq]
