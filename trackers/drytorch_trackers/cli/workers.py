"""`drytorch workers`: who is how far, and what could not be handled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters

SETTINGS: Final[Mapping[str, Any]] = {"name": "workers"}
EPILOG: Final = """\b
Examples:
  drytorch workers
  drytorch workers --dead archive
  drytorch workers --json --broker tcp://127.0.0.1:7750
"""


def command(
    dead: Annotated[
        str | None, typer.Option("--dead", metavar="NAME", help="A worker's dead letters.")
    ] = None,
    broker: parameters.Broker = None,
    json: parameters.Json = False,
) -> int:
    """List workers: cursor, lag, dead letters and last error."""
    from drytorch_schemas.control import Ask
    from drytorch_trackers.cli.broker import ask, channel_to, endpoint_of
    from drytorch_trackers.cli.display import as_json

    what = Ask(what="workers") if dead is None else Ask(what="dead", name=dead)
    with channel_to(endpoint_of(broker)) as channel:
        rows = ask(channel, what).data
        if dead is not None and not rows:
            _check_name(dead, ask(channel, Ask(what="workers")).data)
    if json:
        print(as_json(rows))
    else:
        print(_of_workers(rows) if dead is None else _of_letters(rows))
    return exit_codes.OK


def _check_name(name: str, workers: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a name that no worker has: "no dead letters" would be false comfort."""
    from drytorch_trackers.errors import WorkError

    if name not in {row["name"] for row in workers}:
        raise WorkError(
            f"There is no worker {name!r}: `drytorch workers` lists them.", exit_codes.NO_INPUT
        )


def _of_workers(rows: Sequence[Mapping[str, Any]]) -> str:
    from drytorch_trackers.cli.display import table

    if not rows:
        return "No workers."
    header = ("NAME", "STATE", "CURSOR", "LAG", "DEAD LETTERS", "LAST ERROR")
    return table(
        header,
        [
            (
                row["name"],
                "at work" if row.get("attached") else "away",
                row["cursor"],
                row["lag"],
                row["dead"],
                row.get("last_error", ""),
            )
            for row in rows
        ],
    )


def _of_letters(rows: Sequence[Mapping[str, Any]]) -> str:
    from drytorch_trackers.cli.display import table

    if not rows:
        return "No dead letters."
    fields = ("offset", "topic", "tracker", "error")
    return table(
        [name.upper() for name in fields], [[row.get(name, "") for name in fields] for row in rows]
    )
