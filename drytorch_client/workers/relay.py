"""Workers' output on its way to the training process's own streams.

Used where these are no terminal: a pipe, a notebook, pytest. A worker that wrote to such a stream
by itself would keep it open after the training, and whoever reads it would wait.
"""

from __future__ import annotations

import codecs
import os
import select
import selectors
import sys
import threading
from typing import Any, Final, Literal

from drytorch_client.workers.records import RecordPipe, Route

StreamName = Literal["stdout", "stderr"]
_CHUNK: Final = 1 << 16
_RETRY: Final = 0.5  # seconds between two looks at a stream that takes nothing


def inheritable(name: StreamName) -> int | None:
    """Return the descriptor of this process's stream where it is a terminal, else None.

    Args:
        name: which stream.
    """
    stream = getattr(sys, name, None)
    try:
        return int(stream.fileno()) if stream is not None and stream.isatty() else None
    except Exception:  # noqa: BLE001 - a notebook's or a test's stream may lack either, or raise
        return None


class Relay:
    """One daemon thread that copies pipes to `sys.stdout` and `sys.stderr`."""

    def __init__(self) -> None:
        """Initialize."""
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._open: dict[int, _Pipe | RecordPipe] = {}
        self._copying = threading.Lock()
        self._hushed = False

    def pipe(self, name: StreamName) -> int:
        """Return the writing end of a new pipe; the caller closes it after the worker has it.

        Args:
            name: the stream to copy to.

        Raises:
            OSError: there are no descriptors left.
        """
        reading, writing = os.pipe()
        self._watch(_Pipe(reading, name))
        return writing

    def records(self, route: Route) -> int:
        """Return the writing end of a new pipe for lines that go to this process's `logging`.

        Args:
            route: where they go; the caller closes the descriptor after the worker has it.

        Raises:
            OSError: there are no descriptors left.
        """
        reading, writing = os.pipe()
        self._watch(RecordPipe(reading, route))
        return writing

    def drain(self, timeout: float) -> bool:
        """Wait until every pipe is at its end: nothing more comes.

        Args:
            timeout: longest wait in seconds.
        """
        with self._lock:
            return self._idle.wait_for(lambda: not self._open, timeout)

    def hush(self, timeout: float) -> None:
        """Copy nothing any more: a thread that prints when the interpreter ends is fatal to it.

        Args:
            timeout: longest wait in seconds for what is being copied.
        """
        self._hushed = True
        if self._copying.acquire(timeout=timeout):
            self._copying.release()

    def close_in_child(self) -> None:
        """Close what a forked child inherited: it would keep pipes open that nobody reads."""
        for reading in self._open:
            os.close(reading)
        self._open.clear()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                with self._copying:
                    more = not self._hushed and key.data.copy()
                if not more:
                    self._drop(key.data)
            with self._lock:
                if not self._open:
                    self._thread = None
                    self._idle.notify_all()
                    return

    def _watch(self, pipe: _Pipe | RecordPipe) -> None:
        with self._lock:
            self._open[pipe.reading] = pipe
            self._selector.register(pipe.reading, selectors.EVENT_READ, pipe)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="drytorch-relay", daemon=True
                )
                self._thread.start()

    def _drop(self, pipe: _Pipe | RecordPipe) -> None:
        with self._lock:
            self._selector.unregister(pipe.reading)
            del self._open[pipe.reading]
            os.close(pipe.reading)


class _Pipe:
    """The reading end of a pipe, and the stream to copy to."""

    def __init__(self, reading: int, name: StreamName) -> None:
        self.reading: Final = reading
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def copy(self) -> bool:
        """Copy what there is; return False at the end."""
        data = os.read(self.reading, _CHUNK)
        stream = getattr(sys, self._name, None)
        if stream is not None:
            _write(stream, data, self._decoder.decode(data, final=not data))
        return bool(data)


def _write(stream: Any, data: bytes, text: str) -> None:
    """Write to the process's own stream, or to whatever stands in its place; never raise."""
    try:
        if stream in (sys.__stdout__, sys.__stderr__):
            # past the buffer: a thread that waits in there when the interpreter ends is fatal
            _write_all(stream.fileno(), data)
        else:
            _show_in_running_cell(stream)
            stream.write(text)
            stream.flush()
    except Exception:  # noqa: BLE001 - a closed or full stream costs the lines, nothing else
        return


def _show_in_running_cell(stream: Any) -> None:
    """Let a notebook show text where the user is: ipykernel 6 ties a thread to its first cell."""
    for ties in ("_thread_to_parent", "_thread_to_parent_header"):
        getattr(stream, ties, {}).pop(threading.get_ident(), None)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # somebody made the stream non-blocking
            select.select([], [descriptor], [], _RETRY)
