"""Starting a worker's process: what it is told, and where its output goes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from drytorch_client.workers.records import route_of
from drytorch_client.workers.relay import Relay, StreamName, inheritable
from drytorch_client.workers.spec import WorkerSpec


def spawn(command: Sequence[str], spec: WorkerSpec, relay: Relay | None) -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own: no signal for the training's group reaches it.

    Args:
        command: its command line.
        spec: what it is told.
        relay: copies its output; None to send all of it to its log file.

    Raises:
        OSError: there is no memory, or no descriptor left.
    """
    with contextlib.ExitStack() as opened:

        def output(name: StreamName) -> int:
            terminal = None if relay is None else inheritable(name)
            if terminal is not None:
                return terminal
            writing = _open_log(spec.log_file) if relay is None else relay.pipe(name)
            opened.callback(os.close, writing)
            return writing

        passed: list[int] = []
        route = None if relay is None else route_of(spec.declarations)
        if relay is not None and route is not None:
            passed.append(relay.records(route))
            opened.callback(os.close, passed[0])
            command = [*command, "--records", str(passed[0])]
        return subprocess.Popen(
            command,
            stdin=opened.enter_context(_private_file(spec.to_bytes())),
            stdout=output("stdout"),
            stderr=output("stderr"),
            pass_fds=passed,
            start_new_session=True,
        )


def _open_log(path: str) -> int:
    """Open a worker's log for appending; nothing is kept where that is not possible."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def _private_file(content: bytes) -> IO[bytes]:
    """Return an open file without a name: unlike a pipe it never makes the writer wait."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("drytorch-worker"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - as above
    file.write(content)
    file.flush()
    file.seek(0)
    return file
