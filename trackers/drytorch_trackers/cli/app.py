"""Puts the subcommands together, and turns what goes wrong into one sentence and an exit code."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import (
    doctor,
    replay,
    run,
    runs,
    sync,
    tail,
    track,
    verify,
    workers,
)
from drytorch_trackers.terminal import printable

_EPILOG: Final = """\b
Examples:
  drytorch run -t csv -t console -- python train.py
  drytorch runs
  drytorch track csv --experiment 'Digits*' --follow
  drytorch replay journal.msgpack --to csv --par-dir copies

Exit codes: 0, 64 usage, 65 damaged data, 66 no such input, 69 no broker or library, 70 a defect, \
73 events that could not be handled, 74 input/output, 75 name or folder taken, 77 not allowed.
"""

app = typer.Typer(
    name="drytorch",
    help="Trackers outside the training: run, track, replay, and look.",
    epilog=_EPILOG,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"drytorch {importlib.metadata.version('drytorch-bus')}")
        raise typer.Exit(exit_codes.OK)


@app.callback()
def _options(
    version: Annotated[  # the callback does it all
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None: ...


for module in (run, track, replay, tail, runs, verify, workers, sync, doctor):
    app.command(epilog=module.EPILOG, **module.SETTINGS)(module.command)

#: typer brings click along under different names; its own classes derive from click's.
_UsageError: Final[type[Exception]] = typer.BadParameter.__bases__[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: the command line without the program's name; that of this process by default.
    """
    try:
        code = app(
            args=None if arguments is None else list(arguments),
            prog_name="drytorch",
            standalone_mode=False,
        )
    except typer.Exit as leave:
        code = leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = exit_codes.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # told apart below; a user sees one sentence
        code = _explain(error)
    return _flush(code if isinstance(code, int) else exit_codes.OK)


def _explain(error: Exception) -> int:
    code, text = _verdict(error)
    if code is None:
        traceback.print_exc()
        text = "That is a defect of drytorch-bus: please report it with the lines above."
        code = exit_codes.SOFTWARE
    if text:
        print(text if "\n" in text else f"drytorch: {printable(text)}", file=sys.stderr)
    return code


def _verdict(error: Exception) -> tuple[int | None, str]:
    """Return the exit code and the sentence of an error; no code where it is a defect."""
    from drytorch_client.errors import BrokerAwayError, ClientError
    from drytorch_schemas.errors import EndpointError, LocationError, SchemaError
    from drytorch_trackers.errors import TrackersError

    if isinstance(error, _UsageError):
        return exit_codes.USAGE, _usage(error)
    if isinstance(error, BrokenPipeError):
        return exit_codes.OK, ""
    if isinstance(error, OSError):
        return _of_os(error)
    code = getattr(error, "exit_code", None) if isinstance(error, TrackersError) else None
    for kind, its_code in (  # the first that fits
        (BrokerAwayError, exit_codes.UNAVAILABLE),
        (EndpointError, exit_codes.USAGE),
        (ClientError, exit_codes.USAGE),
        (LocationError, exit_codes.CONFIG),
        (SchemaError, exit_codes.DATA),
    ):
        if code is None and isinstance(error, kind):
            code = its_code
    return code, str(error)


def _usage(error: Exception) -> str:
    text = str(getattr(error, "format_message", error.__str__)()).replace("Value error, ", "")
    if "\n" in text:  # help, where a command was given nothing at all
        return text
    return f"{text.rstrip('.')}{'' if text.endswith('?') else '.'} Try --help."


def _of_os(error: OSError) -> tuple[int, str]:
    text = f"{error.filename or 'An operation'}: {error.strerror or error}."
    if isinstance(error, PermissionError):
        return exit_codes.PERMISSION, text
    if isinstance(error, FileNotFoundError):
        return exit_codes.NO_INPUT, text
    return exit_codes.IO, text


def _flush(code: int) -> int:
    """Flush stdout here, where a reader that went away is no mistake of anybody's."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
