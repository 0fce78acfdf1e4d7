"""Feed events to DRYTorch's own trackers, in a process of their own: `python upstream.py SPEC`.

The specification is JSON: a list of scenarios with `folder`, `options` and `runs`, each run a list
of events as [class name, fields]. Per scenario the console's output goes to `folder/console.txt`.
"""

import datetime
import io
import json
import pathlib
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

from drytorch.core import log_events  # noqa: E402 - not before the warnings are off
from drytorch.trackers import csv, logging, tqdm  # noqa: E402 - as above

TIMES = ("run_ts", "model_ts", "actor_ts")


def make(name: str, fields: dict[str, Any]) -> Any:
    """Return DRYTorch's event."""
    given = dict(fields)
    for key in TIMES:
        if key in given:
            given[key] = datetime.datetime.fromisoformat(given[key])
    if "par_dir" in given:
        given["par_dir"] = pathlib.Path(given["par_dir"])
    if name == "LearningRateEvent" and isinstance(given.get("base_lr"), dict):
        given["base_lr"] = dict(given["base_lr"])
    return getattr(log_events, name)(**given)


def trackers(options: dict[str, Any], stream: io.StringIO) -> list[Any]:
    """Return the trackers of a scenario in DRYTorch's order."""
    logging.enable_default_handler(stream)
    logging.set_formatter(options.get("formatter", "drytorch"))
    logging.set_verbosity(options.get("verbosity", 0))
    chosen: list[Any] = []
    if "verbosity" in options:
        chosen.append(logging.BuiltinLogger())
    if "tqdm" in options:
        chosen.append(tqdm.TqdmLogger(file=stream, **options["tqdm"]))
    if "csv" in options:
        chosen.append(csv.CSVDumper(pathlib.Path(options["csv"]["par_dir"])))
    return chosen


def play(scenario: dict[str, Any]) -> None:
    """Feed the runs of a scenario; each run has trackers of its own."""
    stream = io.StringIO()
    for run in scenario["runs"]:
        chosen = trackers(scenario["options"], stream)
        iterating = None
        done = 0
        for name, fields in run:
            if name == "BatchProgressEvent":
                if iterating is not None:
                    iterating.update(fields["metrics"], fields["batches"] - done)
                    done = fields["batches"]
                continue
            event = make(name, fields)
            for tracker in chosen:
                tracker.notify(event)
            if name == "IterateBatchEvent":
                iterating, done = event, 0
    folder = pathlib.Path(scenario["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "console.txt").open("w", newline="") as file:
        file.write(stream.getvalue())


if __name__ == "__main__":
    log_events.Event.set_auto_publish(lambda _: None)
    for each in json.loads(pathlib.Path(sys.argv[1]).read_text()):
        play(each)
