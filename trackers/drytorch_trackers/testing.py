"""A bus in memory, for the tests of trainings and of trackers: no process, no thread, no file.

`with in_memory_bus(folder) as bus:` lets every run of this process report to `bus`. In pytest the
fixture `bus` of `drytorch_trackers.pytest_plugin` does that.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import mock

from drytorch_client import scope
from drytorch_client.config import DISABLED, VARIABLE
from drytorch_client.declarations import declare
from drytorch_client.experiment import Experiment
from drytorch_client.in_memory import InMemory
from drytorch_client.naming import NameCounter
from drytorch_client.run import Run
from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope
from drytorch_schemas.events import Event, MetricEvent, event_classes
from drytorch_trackers.base import Delivery, Tracker, TrackerContext
from drytorch_trackers.errors import BusError

TrackerT = TypeVar("TrackerT", bound=Tracker)


class Bus:
    """What the runs of a test reported.

    Attributes:
        folder: parent folder of experiments that are given none, and of what fed trackers write.
    """

    def __init__(self, memory: InMemory) -> None:
        """Initialize.

        Args:
            memory: what the runs report to.
        """
        self.folder: Final = memory.folder
        self._memory: Final = memory
        self._fed: dict[int, tuple[Tracker, int]] = {}

    @property
    def envelopes(self) -> list[Envelope]:
        """Everything that was reported with where it came from, live events included, in order."""
        return list(self._memory.sender.envelopes)

    @property
    def events(self) -> list[Event]:
        """The durable events, in order: what trackers are given, and a journal holds."""
        return [each.event for each in self.envelopes if each.seq]

    @property
    def kinds(self) -> list[str]:
        """The kinds of the durable events, in order."""
        return [each.kind for each in self.envelopes if each.seq]

    def of_kind(self, kind: str | type[Event]) -> list[Any]:
        """Return the events of one kind in order, live ones included.

        Args:
            kind: such as `Metric`, or the event's class.

        Raises:
            BusError: there is no such kind.
        """
        name = kind if isinstance(kind, str) else kind.kind
        known = sorted(event_classes())
        if name not in known:
            raise BusError(f"There is no kind of event {name!r}{_meant(name, known)}.")
        return [each.event for each in self.envelopes if each.kind == name]

    def values(self, source: str, metric: str, *, model: str = "") -> list[int | float]:
        """Return the values of one metric in order.

        Args:
            source: name of the source; `run` for what `run.log` reported without one.
            metric: name of the metric.
            model: name of the model, where sources of several models have one name.

        Raises:
            BusError: nothing was reported under these names.
        """
        logged = [each for each in self.of_kind(MetricEvent) if model in ("", each.model_name)]
        of_source = [each for each in logged if each.source_name == source]
        found = [each.metrics[metric] for each in of_source if metric in each.metrics]
        if found:
            return found
        of_model = f" of model {model}" if model else ""
        if not of_source:
            known = sorted({each.source_name for each in logged})
            raise BusError(
                f"No source {source!r}{of_model} reported metrics{_meant(source, known)}."
            )
        known = sorted({name for each in of_source for name in each.metrics})
        raise BusError(
            f"Source {source!r}{of_model} reported no {metric!r}{_meant(metric, known)}."
        )

    def feed(self, tracker: TrackerT) -> TrackerT:
        """Give a tracker what was reported since it was fed last, as a worker does, and flush it.

        An error of the tracker is raised here. It is told that it writes under `folder`.

        Args:
            tracker: the tracker under test.

        Returns:
            The tracker.

        Raises:
            ClientError: it cannot be subscribed, see `Subscriptions.subscribe`.
        """
        declare(tracker)
        _, start = self._fed.get(id(tracker), (tracker, -1))
        if start < 0:
            start = 0
            tracker.setup(TrackerContext(self.folder, "bus"))
        envelopes = self.envelopes
        self._fed[id(tracker)] = tracker, len(envelopes)
        for offset, envelope in enumerate(envelopes[start:], start):
            if _wanted(tracker, envelope):
                tracker.handle(Delivery(envelope, offset if envelope.seq else -1))
        tracker.flush()
        return tracker

    def close(self) -> None:
        """Let the trackers that were fed clean up."""
        fed, self._fed = self._fed, {}
        for tracker, _ in fed.values():
            tracker.clean_up()


def _wanted(tracker: Tracker, envelope: Envelope) -> bool:
    """Tell whether a worker would give an event to a tracker."""
    if (envelope.origin.rank and not tracker.wants_ranks) or (
        not envelope.seq and not tracker.wants_live
    ):
        return False
    if tracker.kinds is None:
        return not isinstance(envelope.event, events.UnknownEvent)
    return envelope.kind in tracker.kinds


def _meant(name: str, known: list[str]) -> str:
    """Return the end of a sentence that says which names there are."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f": {close[0]!r} is close"
    return f": there are {', '.join(known)}" if known else ": nothing was reported"


@contextlib.contextmanager
def in_memory_bus(folder: Path) -> Iterator[Bus]:
    """Let every run of this process report into memory within `with`.

    Experiments get their names anew. Other processes that are started meanwhile report nothing:
    DRYTORCH_BROKER is `disabled` for them.

    Args:
        folder: parent folder of experiments that are given none; it is made when it is needed.

    Raises:
        BusError: a run is active already, or is left active.
    """
    _refuse_active("A run must not be active before the test's bus is there")
    memory = InMemory(folder)
    bus = Bus(memory)
    with (
        memory.activated(),
        mock.patch.dict(os.environ, {VARIABLE: DISABLED}),  # for processes that the test starts
        mock.patch.object(Experiment, "_names", NameCounter()),
    ):
        try:
            yield bus
        finally:
            left = scope.current_run()
            if left is not None:
                left.stop("failed")
            bus.close()
    if left is not None:
        raise BusError(_sentence(left, "The test left a run active"))


def _refuse_active(why: str) -> None:
    active = scope.current_run()
    if active is not None:
        raise BusError(_sentence(active, why))


def _sentence(run: Run[Any], why: str) -> str:
    return f"{why}: run {run.id} of {run.experiment_name}. Use it in a `with` statement."
