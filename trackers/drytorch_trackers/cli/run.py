"""`drytorch run`: a training with trackers that its script need not name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters

SETTINGS: Final[Mapping[str, Any]] = {
    "name": "run",
    "context_settings": {"allow_interspersed_args": False},
}
EPILOG: Final = """\b
Examples:
  drytorch run -t csv -- python train.py
  drytorch run -t csv -t console -o csv.par_dir=copies -- python train.py --epochs 3
  drytorch run -t my_tracker.py:BestLoss -- torchrun --nproc-per-node 2 train.py
"""


def command(
    training: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND", help="The training and its arguments.")
    ],
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            "-t",
            "--tracker",
            metavar="TRACKER",
            help="Short name, module:Class or file.py:Class; may be repeated.",
        ),
    ] = None,
    option: parameters.Options = None,
    broker: parameters.Broker = None,
) -> None:
    """Run a training with trackers.

    The training's client starts a broker, where none is running, and the trackers. A tracker that
    the script subscribes too is not doubled. The exit code is the training's.
    """
    from drytorch_client.config import VARIABLE
    from drytorch_client.handed_over import VARIABLE as TRACKERS_VARIABLE
    from drytorch_schemas.endpoint import Endpoint
    from drytorch_trackers.cli.chosen import arguments_of
    from drytorch_trackers.errors import WorkError

    targets = list(dict.fromkeys(tracker or []))
    chosen = arguments_of(targets, option or [])
    if broker is not None:
        Endpoint.from_url(broker)
        os.environ[VARIABLE] = broker
    if chosen:
        entries = [
            {"target": _absolute(target), "options": arguments}
            for target, (_, arguments) in chosen.items()
        ]
        os.environ[TRACKERS_VARIABLE] = json.dumps(entries, default=str)
    program = shutil.which(training[0])
    if program is None and Path(training[0]).is_file():
        raise WorkError(
            f"{training[0]} is not executable: write its interpreter before it, for example "
            f"`python {training[0]}`.",
            exit_codes.PERMISSION,
        )
    if program is None:
        raise WorkError(
            f"There is no program {training[0]!r}: write the training behind `--`.",
            exit_codes.NO_INPUT,
        )
    # in this very process: signals, terminal and exit code are the training's own
    os.execv(program, training)  # noqa: S606  # what the user asked for


def _absolute(target: str) -> str:
    """Return a target whose file is found from any folder."""
    path, colon, name = target.rpartition(":")
    if colon and path.endswith(".py"):
        return f"{Path(path).absolute()}:{name}"
    return target
