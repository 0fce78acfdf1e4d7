"""The loop that is measured: `python -m benchmarks.stall.loop TOOL FOLDER`, a process of its own.

At the steps `BREAK` and `MEND` it asks whoever started it to break and to mend something; that time
is not counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STEPS = 1200
BREAK, MEND = 100, 1000
PAUSE = 0.002  # seconds of "training" per step

Log = Callable[[int, dict[str, float]], None]


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Log]:
    """Report to this project's bus, with its CSV tracker."""
    from drytorch_client import Experiment, init_trackers
    from drytorch_trackers import CSVDumper

    init_trackers("none")
    experiment = Experiment(None, name="Stall", par_dir=folder)
    experiment.trackers.subscribe(CSVDumper())
    with experiment.create_run(run_id="r") as run:
        yield lambda step, metrics: run.log(metrics, step=step)


@contextlib.contextmanager
def wandb(folder: Path) -> Iterator[Log]:
    """Log to W&B, offline."""
    import wandb as library

    with library.init(project="stall", dir=str(folder), mode="offline") as run:
        yield lambda step, metrics: run.log(metrics, step=step)


@contextlib.contextmanager
def mlflow(folder: Path) -> Iterator[Log]:
    """Log to an MLflow server over HTTP."""
    import mlflow as library

    library.set_tracking_uri((folder / "url").read_text())
    with library.start_run():
        yield lambda step, metrics: library.log_metrics(metrics, step=step)


@contextlib.contextmanager
def tensorboard(folder: Path) -> Iterator[Log]:
    """Write TensorBoard's event files."""
    from torch.utils.tensorboard import SummaryWriter

    def log(step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    with SummaryWriter(str(folder / "tb"), flush_secs=1) as writer:
        yield log


@contextlib.contextmanager
def trackio(folder: Path) -> Iterator[Log]:
    """Log to Trackio's local database."""
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    import trackio as library

    library.init(project="stall", name="r", embed=False, auto_log_cpu=False)
    yield lambda step, metrics: library.log(metrics, step=step)
    library.finish()


@contextlib.contextmanager
def drytorch(folder: Path) -> Iterator[Log]:
    """Publish DRYTorch's own events to its CSV tracker in this process."""
    from drytorch import Experiment, remove_all_default_trackers
    from drytorch.core.log_events import MetricEvent
    from drytorch.trackers.csv import CSVDumper

    remove_all_default_trackers()
    experiment = Experiment(None, name="Stall", par_dir=folder)
    experiment.trackers.subscribe(CSVDumper())
    with experiment.create_run(run_id="r"):
        yield lambda step, metrics: _publish(MetricEvent, step, metrics)


def _publish(kind: Callable[..., object], step: int, metrics: dict[str, float]) -> None:
    kind(model_name="net", source_name="Loop", epoch=step, metrics=metrics)


TOOLS = {
    "ours": ours,
    "drytorch": drytorch,
    "tensorboard": tensorboard,
    "trackio": trackio,
    "wandb": wandb,
    "mlflow": mlflow,
}


def main(tool: str, folder: Path) -> None:
    """Run the loop, and print what was measured as JSON after each thing that may be the last."""
    longest, raised, first = 0.0, 0, ""
    began = time.perf_counter()
    with TOOLS[tool](folder) as log:
        _ask("begun")
        for step in range(STEPS):
            if step in (BREAK, MEND):
                _ask("break" if step == BREAK else "mend")
            time.sleep(PAUSE)
            before = time.perf_counter()
            try:
                log(step, {"loss": 1 / (step + 1), "accuracy": step / STEPS})
            except Exception as error:  # noqa: BLE001 - counting them is the point
                raised += 1
                first = first or repr(error)[:120]
            longest = max(longest, time.perf_counter() - before)
        _tell("looped", longest=longest, raised=raised, error=first)
        ending = time.perf_counter()
    _tell("ended", end=time.perf_counter() - ending, whole=time.perf_counter() - began)


def _tell(what: str, **figures: object) -> None:
    print(json.dumps({"what": what, **figures}), file=sys.__stdout__, flush=True)


def _ask(what: str) -> None:
    _tell(what)
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
