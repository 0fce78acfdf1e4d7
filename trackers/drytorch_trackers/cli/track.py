"""`drytorch track`: a worker in the foreground, here or on another host."""

from __future__ import annotations

import math
import os
import re
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters

SETTINGS: Final[Mapping[str, Any]] = {"name": "track"}
EPILOG: Final = """\b
Examples:
  drytorch track csv --par-dir copies
  drytorch track csv --experiment 'Digits*' --name archive --follow
  drytorch track my_tracker.py:BestLoss -o metric=val_loss --from now
  drytorch track csv --broker tcp://127.0.0.1:7750
"""
_START: Final = re.compile(r"start|now|\d{1,19}")


def command(  # noqa: PLR0913, PLR0917  # each is an option of the command
    trackers: Annotated[
        list[str],
        typer.Argument(metavar="TRACKER", help="Short name, module:Class or file.py:Class."),
    ],
    broker: parameters.Broker = None,
    experiment: parameters.Experiment = "*",
    run: parameters.Run = "*",
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Keep the cursor under this name, to go on there."
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="start|now|OFFSET", help="Where to begin without a kept cursor."
        ),
    ] = "start",
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for further runs when the matched are over.")
    ] = False,
    par_dir: parameters.ParDir = Path(),
    option: parameters.Options = None,
) -> int:
    """Feed trackers from a broker.

    Without --follow it leaves when the matched runs are over and handled. A run that it meets in
    the middle is given with its beginning: model and source names are known.
    """
    from drytorch_client.workers.spec import WorkerSpec
    from drytorch_schemas.control import Ask, Filter
    from drytorch_trackers.cli.broker import ask, channel_to, endpoint_of
    from drytorch_trackers.cli.chosen import build, writable
    from drytorch_trackers.cli.leaving import on_signals
    from drytorch_trackers.errors import WorkError
    from drytorch_trackers.hosted import Policy
    from drytorch_trackers.hosting import Host, Notices
    from drytorch_trackers.hosting import run as run_worker

    if not _START.fullmatch(start):
        raise WorkError(
            f"--from {start!r} is none: give start, now or an offset.", exit_codes.USAGE
        )
    built = build(trackers, option or [])
    endpoint = endpoint_of(broker)
    with channel_to(endpoint) as channel:
        ask(channel, Ask(what="status"))
    spec = WorkerSpec(
        name=name or f"track-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
        broker=endpoint.url,
        declarations=[],
        filter=Filter(experiment=experiment, run_id=run),
        par_dir=str(writable(par_dir)),
        follow=follow,
        run_scoped=False,
        quiet_exit_s=math.inf if follow else 45.0,
        stuck_exit_s=math.inf,
    )
    with on_signals() as leaving:
        host = Host(
            leaving=leaving,
            notices=Notices(note=_say, warn=_say),
            start=start,
            transient=name is None,
            policy=Policy(wait_for_folder=False, wait_for_backend=True),
        )
        code, _ = run_worker(spec, host, built)
    return code


def _say(text: str) -> None:
    from drytorch_trackers.terminal import printable

    print(f"drytorch track: {printable(text)}", file=sys.stderr)
