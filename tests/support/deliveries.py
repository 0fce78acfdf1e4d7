"""Events of made-up runs, and ways to feed them to a tracker."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope, Origin
from drytorch_trackers import Delivery, Tracker, TrackerContext

RUN = "0" * 32
RUN_ID = "2025-08-01@12h54m21s"
RUN_TS = datetime.datetime(2025, 8, 1, 12, 54, 21)  # noqa: DTZ001 - local time, as everywhere


def origin(run: str = RUN, run_id: str = RUN_ID, producer: str = "producer") -> Origin:
    """Return where a made-up run's events come from."""
    return Origin(producer, "Exp", run_id, run, 0, "host")


def deliver(
    happened: Iterable[events.Event], source: Origin | None = None, *, first: int = 1
) -> list[Delivery]:
    """Number events as one producer does."""
    source = source or origin()
    return [
        Delivery(Envelope(source, 0 if event.live else seq, 1_700_000_000_000_000_000, event), seq)
        for seq, event in enumerate(happened, first)
    ]


def feed(tracker: Tracker, deliveries: Sequence[Delivery], par_dir: Path) -> Tracker:
    """Set a tracker up, let it handle everything, flush and clean up."""
    tracker.setup(TrackerContext(par_dir, "worker"))
    for delivery in deliveries:
        tracker.handle(delivery)
    tracker.flush()
    tracker.clean_up()
    return tracker


def start(**fields: Any) -> events.StartExperimentEvent:
    """Return the start of a run."""
    given = {"config": None, "exp_name": "Exp", "run_ts": RUN_TS, "run_id": RUN_ID}
    return events.StartExperimentEvent(**given | fields)


def stop(run_id: str = RUN_ID) -> events.StopExperimentEvent:
    """Return the end of a run."""
    return events.StopExperimentEvent(exp_name="Exp", run_id=run_id)


def metric(
    epoch: int,
    source: str = "Trainer",
    *,
    model: str = "net",
    step: int | None = None,
    values: Mapping[str, float] | None = None,
    **more: float,
) -> events.MetricEvent:
    """Return the metrics of a pass."""
    return events.MetricEvent(
        model_name=model,
        source_name=source,
        epoch=epoch,
        metrics={**(values or {}), **more},
        step=step,
    )


def files(folder: Path, pattern: str = "csv_metrics/**/*") -> dict[str, bytes]:
    """Return the content of the files under a folder, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }
