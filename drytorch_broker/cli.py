"""`drytorch-broker`: parse, build the options, call one function."""

from __future__ import annotations

import enum
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from drytorch_broker import command_errors, exit_codes
from drytorch_schemas.folders import journal_dir


def _examples(*arguments: str) -> str:
    """Return the end of a help text; the mark keeps its lines apart."""
    return "\b\nExamples:\n" + "\n".join(f"  drytorch-broker {each}" for each in arguments)


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Journal events of trainings and hand them to trackers.",
    epilog=_examples("start --detach", "status", "stop"),
)


class FsyncPolicy(enum.StrEnum):
    """When a batch is acknowledged."""

    BATCH = "batch"
    INTERVAL = "interval"
    NEVER = "never"


class LogFormat(enum.StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


JournalOption = Annotated[
    Path | None,
    typer.Option(readable=False, help="Folder of the journal.  [default: the user's state folder]"),
]
BrokerOption = Annotated[
    str | None, typer.Option("--broker", help="URL of the broker, instead of its journal.")
]


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"drytorch-broker {importlib.metadata.version('drytorch-bus')}")
        raise typer.Exit(exit_codes.OK)


@app.callback()
def _options(
    version: Annotated[  # the callback does it all
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None: ...


def _journal(path: Path | None) -> Path:
    return (path or journal_dir()).absolute()


@app.command(
    epilog=_examples(
        "start",
        "start --detach --idle-exit 30",
        "start --listen tcp://127.0.0.1:7750 --journal /data/journal",
    )
)
def start(  # noqa: PLR0913, PLR0917  # one parameter an option
    listen: Annotated[
        str | None,
        typer.Option(
            help="tcp://HOST:PORT (that port and the next two; 0: free ones) or ipc:///FOLDER.  "
            "[default: sockets in the user's runtime folder]"
        ),
    ] = None,
    journal: JournalOption = None,
    fsync: Annotated[
        FsyncPolicy,
        typer.Option(
            help="Acknowledge what is on disk (batch), will be within a second (interval), or "
            "when the system likes (never)."
        ),
    ] = FsyncPolicy.BATCH,
    detach: Annotated[
        bool, typer.Option("--detach", help="Go to the background once it is ready.")
    ] = False,
    idle_exit: Annotated[
        float, typer.Option(min=0, help="Leave after so many idle seconds; 0: stay.")
    ] = 0.0,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.TEXT,
    max_bytes: Annotated[
        int,
        typer.Option(min=1 << 16, help="Size at which the journal acts as if the disk were full."),
    ] = 10 << 30,
    max_age: Annotated[
        float, typer.Option(min=0, help="Remove segments older than so many days; 0: keep all.")
    ] = 0.0,
    keep_bytes: Annotated[
        int,
        typer.Option(min=0, help="Remove the oldest segments above this size; 0: keep all."),
    ] = 0,
    segment_bytes: Annotated[
        int, typer.Option(min=1 << 12, max=1 << 30, help="Size of a journal's segment.")
    ] = 64 << 20,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow an address that others can reach.")
    ] = False,
    ready_descriptor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Run a broker, in the foreground unless told otherwise."""
    from drytorch_broker import launch
    from drytorch_broker.config import BrokerConfig

    folder = _journal(journal)
    config = BrokerConfig(
        journal=folder,
        listen=listen,
        insecure=insecure,
        fsync=fsync.value,
        max_bytes=max_bytes,
        max_age_days=max_age,
        keep_bytes=keep_bytes,
        segment_bytes=segment_bytes,
        idle_exit=idle_exit,
        json_logs=log_format is LogFormat.JSON,
        log_file=None if ready_descriptor is None else folder / "broker.log",
        ready_descriptor=ready_descriptor,
    )
    if detach:
        print(launch.detached(config))
    else:
        launch.foreground(config)
    return exit_codes.OK


@app.command(epilog=_examples("status --json", "status --ready && echo yes"))
def status(
    journal: JournalOption = None,
    broker: BrokerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only say by exit code whether it takes events.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Only say by exit code whether it answers.")
    ] = False,
) -> int:
    """Say how a broker is doing; 69 when none runs."""
    from drytorch_broker import asking, readable
    from drytorch_broker.errors import NotRunningError

    folder = _journal(journal)
    found = asking.find(folder, broker)
    if found is None:
        raise NotRunningError(
            f"No broker runs on {folder}: start one with `drytorch-broker start --detach`."
        )
    data = asking.ask(found.url, "status")
    if ready or live:
        return exit_codes.OK if live or data["ready"] else exit_codes.UNAVAILABLE
    print(json.dumps(data) if as_json else readable.status(data))
    return exit_codes.OK


@app.command(epilog=_examples("stop", "stop --journal /data/journal"))
def stop(journal: JournalOption = None, broker: BrokerOption = None) -> int:
    """Stop a broker, and wait until it has; 0 also when none runs."""
    from drytorch_broker import asking
    from drytorch_broker.errors import NotRunningError

    found = asking.find(_journal(journal), broker)
    try:
        if found is not None:
            asking.ask(found.url, "stop")
    except NotRunningError:
        if found is not None and found.lock is not None:
            raise  # it holds the lock, and does not answer
        found = None
    if found is None:
        print("no broker runs there")
    elif not asking.wait_until_gone(found, 10.0):
        raise NotRunningError(f"The broker on {found.url} does not stop: look into its log.")
    return exit_codes.OK


@app.command(epilog=_examples("check ~/journal", "check --json 00000000000000000000.msgpack"))
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="JOURNAL", readable=False, help="Segments, or folders with segments."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Read journals: records, runs, damage; 65 on damage."""
    from drytorch_broker import readable

    code, rows = exit_codes.OK, []
    for path in paths:
        text, data, each = readable.checked(path)
        code = code or each
        rows.append(data)
        if not as_json:
            print(text, file=sys.stderr if data is None else sys.stdout)
    if as_json:
        print(json.dumps([row for row in rows if row is not None]))
    return code


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: the command line; that of the process by default.
    """
    sys.excepthook = sys.__excepthook__
    command: Any = typer.main.get_command(app)
    return command_errors.run(
        lambda: command.main(args=arguments, prog_name="drytorch-broker", standalone_mode=False)
    )
