"""The ways to report one event with two metrics that are compared."""

from __future__ import annotations

import datetime
import pathlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drytorch_client import Experiment, remove_all_default_trackers
from drytorch_schemas.events import MetricEvent

Report = Callable[[int], object]


def make(number: int) -> MetricEvent:
    """Return the event that everybody reports."""
    metrics = {"loss": 1.0 / (number + 1), "accuracy": 0.5}
    return MetricEvent(model_name="net", source_name="Trainer", epoch=number, metrics=metrics)


def floor() -> Report:
    """Construct the event and append it to a deque: less is not possible."""
    kept: deque[MetricEvent] = deque()
    return lambda number: kept.append(make(number))


@contextmanager
def ours(folder: pathlib.Path) -> Iterator[tuple[Report, Callable[[], object]]]:
    """Construct the event and emit it in a run; also gives a call that waits for all of it."""
    remove_all_default_trackers()
    with Experiment({}, name="Bench", par_dir=folder).create_run() as run:
        assert run.flush(60), "the broker did not come up"
        yield lambda number: run.emit(make(number)), lambda: run.flush(60)


def upstream(folder: pathlib.Path) -> Report:
    """Construct DRYTorch's own event and hand it to its CSV tracker."""
    from drytorch.core import log_events
    from drytorch.trackers.csv import CSVDumper

    log_events.Event.set_auto_publish(lambda _: None)
    tracker = CSVDumper(folder)
    tracker.notify(
        log_events.StartExperimentEvent({}, "Bench", datetime.datetime(2026, 1, 1), "run")  # noqa: DTZ001  # naive there
    )

    def report(number: int) -> None:
        metrics = {"loss": 1.0 / (number + 1), "accuracy": 0.5}
        tracker.notify(log_events.MetricEvent("net", "Trainer", number, metrics))

    return report
