"""A bounded record of what was refused, and why: for whoever writes a client."""

from __future__ import annotations

import json
import logging
import logging.handlers
import time
from collections import Counter
from pathlib import Path
from typing import Final

_MAX_BYTES: Final = 1 << 20
_SHOWN_BYTES: Final = 128
_MAX_TEXT: Final = 500
#: A flood of bad frames costs a line each up to here, and is only counted beyond.
_LINES_A_SECOND: Final = 50


class _QuietFile(logging.handlers.RotatingFileHandler):
    """A log file whose troubles do not matter: what goes into it is counted as well."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Do nothing."""


class Rejects:
    """Counts refused messages by reason, and keeps the latest in `rejects/rejects.log`.

    Attributes:
        counts: number of refused messages by reason.
    """

    def __init__(self, folder: Path) -> None:
        """Initialize; the folder is made at the first refusal.

        Args:
            folder: where the log lies, two files of 1 MiB at most.
        """
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._handler: logging.Handler | None = None
        self._second = 0
        self._lines = 0

    def add(self, reason: str, text: str, message: bytes = b"") -> None:
        """Count a refusal, and note it.

        Args:
            reason: a short code.
            text: what is wrong.
            message: the beginning of it is kept.
        """
        self.counts[reason] += 1
        second = int(time.time())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= _LINES_A_SECOND:
            line = {
                "time": time.time(),
                "reason": reason,
                "text": text[:_MAX_TEXT],
                "size": len(message),
                "start": message[:_SHOWN_BYTES].hex(),
            }
            self._write(json.dumps(line))

    def _write(self, line: str) -> None:
        try:
            if self._handler is None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                self._handler = _QuietFile(
                    self._folder / "rejects.log", maxBytes=_MAX_BYTES, backupCount=1
                )
            self._handler.emit(logging.LogRecord("", 0, "", 0, line, None, None))
        except OSError:
            return  # a full disk must not cost more than this line

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()
