"""Starting this user's own broker where it does not run, and again when it dies."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Final

from drytorch_client.broker_address import local_broker_runs
from drytorch_client.pace import Timer
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import private_folder, state_dir
from drytorch_schemas.locks import FileLock

_IDLE_EXIT: Final = "30"
_COMMAND: Final = ("-P", "-m", "drytorch_broker", "start", "--detach", "--idle-exit", _IDLE_EXIT)
_FIRST_DELAY: Final = 0.5
_LAST_DELAY: Final = 30.0
#: Exit codes that leave a broker running: ours, or that of somebody who was faster.
_RUNNING: Final = frozenset({0, 75})


class BrokerStarter:
    """Starts a broker, one attempt at a time over all processes of a user and host.

    Attributes:
        failure: why the last attempt failed, one sentence; empty where none did.
    """

    def __init__(self) -> None:
        self.failure = ""
        self._lock: FileLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._timer = Timer(_FIRST_DELAY, _LAST_DELAY)

    def tick(self, now: float) -> None:
        """Look after the attempt under way, or begin one where no broker runs.

        Args:
            now: the time, seconds.
        """
        if self._process is not None:
            self._look_after(self._process)
        elif now >= self._timer.due and not local_broker_runs():
            self._timer.back_off(now)
            self._begin()

    def succeeded(self, now: float) -> None:
        """Note that a broker is there: the next attempt need not wait.

        Args:
            now: the time, seconds.
        """
        self._timer.reset(now, at_once=True)
        self.failure = ""

    def close(self) -> None:
        """Leave an attempt under way to itself."""
        if self._process is not None:
            self._process.poll()
            if self._process.stderr is not None:
                self._process.stderr.close()
            # it goes on without us; nobody waits for it any more
            self._process.returncode = self._process.returncode or 0
            self._process = None
        self._unlock()

    def _begin(self) -> None:
        try:
            lock = FileLock(private_folder(state_dir()) / "broker-start.lock")
            if not lock.acquire():
                return  # another process is just starting one
            self._lock = lock
            self._process = subprocess.Popen(
                [sys.executable, *_COMMAND],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, SchemaError) as error:
            self.failure = str(error)
            self._unlock()

    def _look_after(self, process: subprocess.Popen[bytes]) -> None:
        code = process.poll()
        if code is None:
            return
        said = b""
        if process.stderr is not None:
            with contextlib.suppress(OSError):
                said = process.stderr.read()
            process.stderr.close()
        self._process = None
        self._unlock()
        if code not in _RUNNING:
            lines = said.decode(errors="replace").strip().splitlines()
            self.failure = lines[-1] if lines else f"the broker left with exit code {code}."

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
