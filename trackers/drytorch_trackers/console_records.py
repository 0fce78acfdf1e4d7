"""Sends the console's lines to the `logging` of the training process, besides printing them.

The counterpart of `drytorch_client.workers.records`, which says what goes through the pipe.
"""

from __future__ import annotations

import json
import logging
import os


class RecordsHandler(logging.Handler):
    """Writes each line to a pipe, until its reader is gone."""

    def __init__(self, descriptor: int) -> None:
        """Initialize.

        Args:
            descriptor: the writing end.
        """
        super().__init__()
        self._descriptor = descriptor
        self._gone = False

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; nothing once the training process is gone."""
        if self._gone:
            return
        fields = {
            "level": record.levelno,
            "name": record.levelname,
            "text": record.getMessage(),
            "time": record.created,
        }
        data = json.dumps(fields).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._gone = True


class _Forwarding:
    """The handler of this process; None where nobody listens."""

    handler: RecordsHandler | None = None


def forward_to(descriptor: int) -> None:
    """Send the lines of consoles that are set up later.

    Args:
        descriptor: the pipe's writing end; children of this process do not get it.
    """
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # positional only
    _Forwarding.handler = RecordsHandler(descriptor)


def add_to(logger: logging.Logger) -> None:
    """Let a logger send its lines, where somebody listens.

    Args:
        logger: the console's.
    """
    if _Forwarding.handler is not None:
        logger.addHandler(_Forwarding.handler)
