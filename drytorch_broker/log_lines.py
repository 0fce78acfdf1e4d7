"""The broker's own log: to stderr, or to a bounded file when detached; as text or JSON."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import time
from pathlib import Path
from typing import Final

_MAX_BYTES: Final = 4 << 20
_BACKUPS: Final = 2


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        fields = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def set_up(log_file: Path | None, *, as_json: bool) -> None:
    """Send this package's log somewhere.

    Args:
        log_file: where to, at most 12 MiB in three files; None for stderr.
        as_json: whether lines are JSON objects.

    Raises:
        OSError: the file cannot be opened.
    """
    handler: logging.Handler
    if log_file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = logging.handlers.RotatingFileHandler(
            log_file, maxBytes=_MAX_BYTES, backupCount=_BACKUPS
        )
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    text.converter = time.gmtime
    text.default_time_format, text.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    handler.setFormatter(JsonFormatter() if as_json else text)
    logger = logging.getLogger("drytorch_broker")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    # A full disk or a closed terminal must not print tracebacks on top.
    logging.raiseExceptions = False
