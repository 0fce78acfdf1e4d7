"""`drytorch runs`: which runs there are, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters

SETTINGS: Final[Mapping[str, Any]] = {
    "name": "runs",
    "short_help": "List runs: status, events, and when they ran.",
}
EPILOG: Final = """\b
Examples:
  drytorch runs
  drytorch runs --experiment 'Digits*' --json
  drytorch runs --broker tcp://127.0.0.1:7750
"""
_HEADER: Final = ("EXPERIMENT", "RUN", "STATUS", "EVENTS", "STARTED", "LAST EVENT")


def command(
    experiment: parameters.Experiment = "*",
    run: parameters.Run = "*",
    broker: parameters.Broker = None,
    json: parameters.Json = False,
) -> int:
    """List runs: from the broker, or from this host's journal where none is running."""
    from drytorch_schemas.topics import TopicFilter
    from drytorch_trackers.cli.display import as_json

    wanted = TopicFilter(experiment, run)
    rows = _from_broker(broker, wanted)
    if rows is None:
        rows = _from_journal(wanted)
    print(as_json(rows) if json else as_table(rows))
    return exit_codes.OK


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return runs as a table for people.

    Args:
        rows: the runs as plain data.
    """
    from drytorch_trackers.cli.display import local_time, table

    if not rows:
        return "No runs."
    return table(
        _HEADER,
        [
            (
                *(row[name] for name in ("experiment", "run_id", "status", "events")),
                local_time(row["started"]),
                local_time(row["last"]),
            )
            for row in rows
        ],
    )


def _from_broker(url: str | None, wanted: Any) -> list[dict[str, Any]] | None:
    """Return what the broker knows; None where there is none and none was named."""
    import os

    from drytorch_client.config import DISABLED, VARIABLE
    from drytorch_schemas.control import Ask
    from drytorch_trackers.cli.broker import ask, channel_to, endpoint_of
    from drytorch_trackers.errors import WorkError

    endpoint = endpoint_of(url)
    try:
        with channel_to(endpoint) as channel:
            answer = ask(channel, Ask(what="runs"))
    except WorkError as error:
        named = url or os.environ.get(VARIABLE, "")
        if named not in {"", DISABLED} or error.exit_code != exit_codes.UNAVAILABLE:
            raise
        return None
    return [
        row
        for row in answer.data
        if wanted.matches_run(row["experiment"], row["run_id"], row["run"])
    ]


def _from_journal(wanted: Any) -> list[dict[str, Any]]:
    from drytorch_schemas.folders import journal_dir
    from drytorch_schemas.journal_reader import segments
    from drytorch_trackers.journal_files import JournalFiles
    from drytorch_trackers.run_list import rows_of

    folder = journal_dir()
    if not folder.is_dir() or not segments(folder):
        return []
    return [row.plain() for row in rows_of(JournalFiles([folder]), wanted)]
