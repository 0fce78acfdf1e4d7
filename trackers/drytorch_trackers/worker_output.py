"""A worker's stdout, stderr and log file: what cannot be shown any more goes to the file.

A local worker's output is relayed by the training process, or goes to the terminal that both share.
Either can go away first. A stream made here then switches to the log file, also for what libraries
write to the descriptor.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import stat
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LOG_BYTES: Final = 4 << 20
_LOG_DAYS: Final = 14
_TURN_SECONDS: Final = 0.05  # longest wait for a reader
_STDOUT, _STDERR = 1, 2


class BoundedLog:
    """A log file and one older one, each of bounded size. Never raises: a log is not worth it."""

    def __init__(self, path: Path, max_bytes: int = _LOG_BYTES) -> None:
        """Open the file for appending.

        Args:
            path: the file; its folder is made.
            max_bytes: size at which it becomes the older one, and a new one begins.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._file = self._open()

    def write(self, data: bytes) -> None:
        """Append bytes; lose them where the file cannot be written."""
        try:
            if os.fstat(self._file).st_size + len(data) > self._max_bytes:
                self._turn()
            os.write(self._file, data[-self._max_bytes :])
        except OSError:
            return

    def take_over(self, descriptor: int) -> None:
        """Let a descriptor that leads nowhere lead to the file."""
        try:
            os.dup2(self._file, descriptor)
        except OSError:
            return

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            return os.open(self._path, flags, 0o600)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def _turn(self) -> None:
        # the older file keeps what went before; descriptors that were taken over follow it there
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        old, self._file = self._file, self._open()
        os.close(old)


class Turns:
    """Keeps what goes into two pipes in order, for a reader who shows both at one place.

    A reader of two pipes cannot tell which was written to first. So before the one is written to,
    the other is to be empty: what was in it has been taken.
    """

    def __init__(self) -> None:
        """Initialize."""
        self._last = -1

    def take(self, descriptor: int) -> None:
        """Wait for the reader, a short time at most, where the other pipe was written to last.

        Args:
            descriptor: the one to be written to.
        """
        last, self._last = self._last, descriptor
        if last in (-1, descriptor):
            return
        until = time.monotonic() + _TURN_SECONDS
        while _unread(last) and time.monotonic() < until:
            time.sleep(_TURN_SECONDS / 100)


def _unread(descriptor: int) -> int:
    """Return how many bytes wait in a pipe; 0 where it is none."""
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return 0
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0


class LastingStream(io.RawIOBase):
    """Writes to a descriptor while that works, then to the log. Cannot be closed by a tracker."""

    def __init__(self, descriptor: int, log: BoundedLog, turns: Turns | None = None) -> None:
        """Initialize.

        Args:
            descriptor: where to write.
            log: takes what the descriptor does not.
            turns: shared with another stream, to keep both in order.
        """
        super().__init__()
        self._descriptor = descriptor
        self._log = log
        self._turns = turns or Turns()
        self._lost = False

    def writable(self) -> bool:
        """Say that this can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether the descriptor is a terminal."""
        try:
            return not self._lost and os.isatty(self._descriptor)
        except OSError:
            return False

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: Buffer
        """Write to the descriptor, or to the log once that is gone."""
        if not self._lost:
            self._turns.take(self._descriptor)
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                return self._to_log(data)
            except OSError:  # the reader or the terminal is gone, or somebody closed the descriptor
                self._lost = True
                self._log.take_over(self._descriptor)
        return self._to_log(data)

    def close(self) -> None:
        """Stay open: a tracker that closes stdout harms only its own line."""

    def _to_log(self, data: bytes | bytearray | memoryview) -> int:
        self._log.write(bytes(data))
        return len(data)


def install(log: BoundedLog) -> None:
    """Put lasting streams in the place of `sys.stdout` and `sys.stderr`.

    Args:
        log: takes what cannot be shown any more.
    """
    turns = Turns()
    # the encoding that Python has chosen for the terminal: bars are drawn with what that can show
    encodings = [getattr(stream, "encoding", "utf-8") for stream in (sys.stdout, sys.stderr)]
    sys.stdout = _text(LastingStream(_STDOUT, log, turns), encodings[0])
    sys.stderr = _text(LastingStream(_STDERR, log, turns), encodings[1])
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]  # Final in typeshed


class _LastingBuffer(io.BufferedWriter):
    def close(self) -> None:
        """Stay open, as the stream below."""
        self.flush()


class _LastingText(io.TextIOWrapper):
    def close(self) -> None:
        """Stay open, as the streams below."""
        self.flush()


def _text(raw: io.RawIOBase, encoding: str) -> io.TextIOWrapper:
    return _LastingText(
        _LastingBuffer(raw), encoding=encoding, errors="backslashreplace", line_buffering=True
    )


class _LogHandler(logging.Handler):
    def __init__(self, log: BoundedLog) -> None:
        super().__init__()
        self._log = log
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(self.format(record).encode(errors="backslashreplace") + b"\n")


def log_to(logger: logging.Logger, log: BoundedLog) -> Callable[[], None]:
    """Send a logger's messages to the log file only, and return what undoes that.

    Args:
        logger: the worker's logger.
        log: the file.
    """
    handler = _LogHandler(log)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return lambda: logger.removeHandler(handler)


def remove_old_logs(folder: Path, *, now: float | None = None) -> None:
    """Remove logs that nobody has written to for two weeks.

    Args:
        folder: where the logs are.
        now: seconds since 1970; the current time by default.
    """
    oldest = (time.time() if now is None else now) - _LOG_DAYS * 86400
    try:
        for path in folder.glob("*.log*"):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
    except OSError:
        return
