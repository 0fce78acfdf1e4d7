"""Lines of the console on their way to the training process's own `logging`.

A worker prints its lines itself. Where they are to reach handlers of the training process too, such
as the file of Hydra's job log, it also sends each as a line of JSON through a pipe.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from drytorch_client.declarations import Declaration, full_target

#: Name of the logger that the console's lines belong to.
LOGGER_NAME: Final = "drytorch"
_CONSOLE: Final = "console"
_CHUNK: Final = 1 << 16
_MAX_LINE: Final = 1 << 20  # bytes of a line that has not ended yet; a longer one is dropped


@dataclass(frozen=True, slots=True)
class Route:
    """Where a worker's lines go besides the stream that it prints to.

    Attributes:
        stream: the standard stream that it prints to; None where it prints nothing.
        propagate: hand lines on to the root logger.
        deduplicate: leave out handlers of the root logger that print to the same stream.
    """

    stream: str | None = "stderr"
    propagate: bool = False
    deduplicate: bool = True

    def deliver(self, record: logging.LogRecord) -> None:
        """Hand a line to the handlers of this process that are to have it.

        Args:
            record: the line.
        """
        logger = logging.getLogger(LOGGER_NAME)
        if logger.disabled or not logger.filter(record):
            return
        for handler in self.handlers(logger):
            if record.levelno >= handler.level:
                handler.handle(record)

    def handlers(self, logger: logging.Logger) -> Iterator[logging.Handler]:
        """Yield the handlers that are to have the lines, the logger's own first.

        Args:
            logger: the console's logger in this process.
        """
        for handler in list(logger.handlers):
            if not (_is_left_out(handler) or self._prints(handler)):
                yield handler
        above = logger.parent if self.propagate else None
        while above is not None:
            for handler in list(above.handlers):
                if not (self.deduplicate and self._prints(handler)):
                    yield handler
            above = above.parent if above.propagate else None

    def _prints(self, handler: logging.Handler) -> bool:
        """Tell whether a handler prints to the stream that the worker prints to."""
        if self.stream is None or not isinstance(handler, logging.StreamHandler):
            return False
        own = (getattr(sys, self.stream), getattr(sys, f"__{self.stream}__"))
        return handler.stream is not None and handler.stream in own


def _is_left_out(handler: logging.Handler) -> bool:
    """Tell whether a handler prints nothing, or DRYTorch's own lines in a bridged training."""
    of_drytorch = type(handler.formatter).__module__.startswith("drytorch.")
    return of_drytorch or isinstance(handler, logging.NullHandler)


def route_of(declarations: Iterable[Declaration]) -> Route | None:
    """Return where a worker's lines go besides its own stream; None where they go nowhere else.

    Args:
        declarations: the worker's trackers.
    """
    for each in declarations:
        if full_target(each.target) != full_target(_CONSOLE) and "propagate" not in each.kwargs:
            continue
        options = each.kwargs
        route = Route(
            stream=options.get("stream", "stderr"),
            propagate=bool(options.get("propagate", False)),
            deduplicate=bool(options.get("deduplicate_stream", True)),
        )
        if route.propagate or any(route.handlers(logging.getLogger(LOGGER_NAME))):
            return route
    return None


class RecordPipe:
    """The reading end of a pipe, and where its lines go."""

    def __init__(self, reading: int, route: Route) -> None:
        """Initialize.

        Args:
            reading: the descriptor.
            route: where its lines go.
        """
        self.reading: Final = reading
        self._route = route
        self._rest = b""

    def copy(self) -> bool:
        """Deliver what there is; return False at the end."""
        data = os.read(self.reading, _CHUNK)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE:
            self._rest = b""
        for line in lines:
            try:
                self._route.deliver(_record(json.loads(line)))
            except Exception:  # noqa: BLE001, S112 - a user's handler may raise; the next line counts
                continue
        return bool(data)


def _record(fields: dict[str, Any]) -> logging.LogRecord:
    record = logging.LogRecord(
        LOGGER_NAME, int(fields["level"]), "console.py", 0, str(fields["text"]), (), None
    )
    record.levelname = str(fields["name"])
    # it tells when the event happened, as the worker's own line does
    record.created = float(fields["time"])
    record.msecs = record.created % 1 * 1000
    return record
