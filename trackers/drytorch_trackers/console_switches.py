"""Verbosity, format and destination of the `drytorch` logger, switched as in DRYTorch.

The switches act on this process's logger. A console tracker declared afterwards takes them along to
its worker.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Literal, TextIO

from drytorch_client import defaults
from drytorch_trackers.console_format import (
    LOGGER_NAME,
    ConsoleHandler,
    DryTorchFilter,
    DryTorchFormatter,
    ProgressFormatter,
)
from drytorch_trackers.terminal import StreamName, name_of

FormatterStyle = Literal["drytorch", "progress"]

logger: Final = logging.getLogger(LOGGER_NAME)
_switched: Final[dict[str, Any]] = {}


def switched() -> dict[str, Any]:
    """Return what was switched in this process, as options of the console tracker.

    A worker cannot write to a stream that was opened here: it prints nothing then, and its lines
    come to this process's logger, whose handler has the stream.
    """
    options = dict(_switched)
    if "stream" in options and name_of(options["stream"]) is None:
        options["stream"] = None
    return options


def forget() -> None:
    """Undo what was switched in this process."""
    disable_propagation()
    for handler in [each for each in logger.handlers if isinstance(each, ConsoleHandler)]:
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    _switched.clear()


def get_verbosity() -> int:
    """Return the level below which lines are not shown, also where only the mode has set it."""
    if "verbosity" in _switched:
        return logger.level
    subscribed = defaults.default_trackers().get(defaults.CONSOLE)
    options = {} if subscribed is None else subscribed.current().kwargs
    return int(options.get("verbosity", logger.level))


def set_verbosity(level_no: int) -> None:
    """Show lines from a level on.

    Args:
        level_no: the level, for example `INFO_LEVELS.metrics`.
    """
    logger.setLevel(level_no)
    _switched["verbosity"] = level_no


def check_style(style: str) -> None:
    """Refuse what is no style of lines.

    Args:
        style: name of a style.

    Raises:
        ValueError: there is no such style.
    """
    if style not in ("drytorch", "progress"):
        raise ValueError(f"Formatter {style!r} is unknown: use 'drytorch' or 'progress'.")


def set_formatter(style: FormatterStyle) -> None:
    """Choose how lines look.

    Args:
        style: `drytorch`, or `progress` to overwrite epochs and model states.

    Raises:
        ValueError: there is no such style.
    """
    check_style(style)
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.formatter = ProgressFormatter() if style == "progress" else DryTorchFormatter()
    _switched["formatter"] = style


def enable_default_handler(stream: StreamName | TextIO = "stderr") -> None:
    """Print lines to a stream, in the default format, and hand them to no other logger.

    Args:
        stream: name of a standard stream, or an open text stream.
    """
    logger.handlers.clear()
    handler = ConsoleHandler(name_of(stream) or stream)
    handler.setFormatter(DryTorchFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = False
    _switched.clear()
    given = name_of(stream) or stream
    _switched.update(stream=given, formatter="drytorch", propagate=False)


def disable_default_handler() -> None:
    """Print nothing; lines still reach the root logger where propagation is enabled."""
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
    logger.addHandler(logging.NullHandler())
    for key in ("verbosity", "formatter"):
        _switched.pop(key, None)
    _switched["stream"] = None


def enable_propagation(deduplicate_stream: bool = True) -> None:  # noqa: FBT001, FBT002  # DRYTorch's own signature
    """Hand lines to the root logger too.

    Args:
        deduplicate_stream: keep them from those of its handlers that print to the same stream.
    """
    logger.propagate = True
    _switched.update(propagate=True, deduplicate_stream=deduplicate_stream)
    if not deduplicate_stream:
        return
    own = [each.stream for each in logger.handlers if isinstance(each, logging.StreamHandler)]
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in own:
            handler.addFilter(DryTorchFilter())


def disable_propagation() -> None:
    """Undo `enable_propagation`."""
    logger.propagate = False
    _switched["propagate"] = False
    for handler in logging.getLogger().handlers:
        for each in [each for each in handler.filters if isinstance(each, DryTorchFilter)]:
            handler.removeFilter(each)
