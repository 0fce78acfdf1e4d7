"""From exceptions to one sentence on stderr and an exit code."""

from __future__ import annotations

import difflib
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from drytorch_broker import exit_codes
from drytorch_broker.errors import BrokerError, StartError

_log: Final = logging.getLogger(__name__)


def run(command: Callable[[], Any]) -> int:
    """Run a command line and return its exit code.

    Args:
        command: parses and runs; what goes wrong comes out of it as an exception.
    """
    try:
        result = command()
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokerError as error:
        code = error.code if isinstance(error, StartError) else error.exit_code
        return fail(str(error), code)
    except Exception as error:  # noqa: BLE001  # the last one who can say what is wrong
        return _unexpected(error)
    return result if isinstance(result, int) else exit_codes.OK


def _unexpected(error: Exception) -> int:
    # The parser's exceptions live in a module that moves between versions: know them by shape.
    if type(error).__name__ == "NoArgsIsHelpError":
        print(str(error), file=sys.stderr)  # noqa: T201  # the help text: no command was given
        return exit_codes.USAGE
    if hasattr(error, "format_message"):
        return fail(usage_sentence(error), exit_codes.USAGE)
    if type(error).__name__ == "Abort":
        return exit_codes.INTERRUPTED
    _log.error("a bug", exc_info=error)
    text = f"A bug in drytorch-broker: {type(error).__name__}: {error}; please report it."
    return fail(text, exit_codes.SOFTWARE)


def fail(text: str, code: int) -> int:
    """Print a sentence on stderr and return the exit code.

    Args:
        text: the sentence.
        code: the exit code.
    """
    print(f"drytorch-broker: {text}", file=sys.stderr)  # noqa: T201  # a command's answer
    return code


def usage_sentence(error: Any) -> str:
    """Return what is wrong with a command line, and the nearest option where one is unknown.

    Args:
        error: an exception of the command line parser.
    """
    text = " ".join(str(error.format_message()).replace("Value error, ", "").split())
    wrong = getattr(error, "option_name", None)
    context = getattr(error, "ctx", None)
    if wrong and context is not None and type(error).__name__ == "NoSuchOption":
        nearest = _nearest(wrong, [o for each in context.command.params for o in each.opts])
        text = f"There is no option {wrong}{nearest}"
    end = "" if text.endswith("?") else "."
    return f"{text.rstrip('.')}{end} See `drytorch-broker --help`."


def _nearest(wrong: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.4)
    return f", the nearest is {close[0]}" if close else ""
