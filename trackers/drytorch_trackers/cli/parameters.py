"""Parameters that several subcommands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Broker = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="URL",
        help="tcp://HOST:PORT or ipc:///FOLDER. Default: $DRYTORCH_BROKER, else this user's own.",
    ),
]
Experiment = Annotated[
    str, typer.Option("--experiment", metavar="GLOB", help="Only experiments with such a name.")
]
Run = Annotated[str, typer.Option("--run", metavar="GLOB", help="Only runs with such an id.")]
ParDir = Annotated[Path, typer.Option("--par-dir", metavar="DIR", help="Write under this folder.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        metavar="[TRACKER.]OPTION=VALUE",
        help="An option of a tracker; may be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
