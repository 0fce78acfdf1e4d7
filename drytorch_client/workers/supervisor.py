"""Starts local workers, and starts them again while this process lives."""

from __future__ import annotations

import atexit
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from drytorch_client.declarations import full_target
from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers import owed
from drytorch_client.workers.plan import alone
from drytorch_client.workers.relay import Relay
from drytorch_client.workers.spawn import spawn
from drytorch_client.workers.spec import SPLIT_CODE, WorkerSpec

#: Exit codes after which a worker is not started again: done, usage, dead letters, name taken,
#: configuration.
FINAL_CODES: Final = frozenset({os.EX_OK, os.EX_USAGE, 73, os.EX_TEMPFAIL, os.EX_CONFIG})
_FIRST_DELAY: Final = 0.5  # seconds before a worker is started again; doubles
_MAX_DELAY: Final = 30.0
_STABLE: Final = 60.0  # a worker that lived so long has its delay reset
_TICK: Final = 0.1
_DRAIN: Final = 0.5  # seconds for the last lines; a worker's own child may hold the pipe open
_HUSH: Final = 0.5  # seconds at the interpreter's end for a line that is just being printed

Command = Callable[[WorkerSpec], Sequence[str]]


def worker_command(spec: WorkerSpec) -> list[str]:
    """Return the command line of a worker. It holds no options: they may be secret.

    Args:
        spec: the worker.
    """
    # -P: a module of the user's beside the script must not hide a library's
    start = [sys.executable, "-P", "-m", "drytorch_trackers.worker"]
    return [*start, "--name", spec.name, "--par-dir", spec.par_dir]


class LocalWorker:
    """One worker, over all its starts.

    Attributes:
        spec: what it is told; after a split, with the trackers that are still at work.
        exit_code: the code that it left with for good, None before; after a split, the highest.
        starts: how often it was started.
        parts: after a split, the workers of its trackers.
    """

    def __init__(self, spec: WorkerSpec, command: Command, relay: Relay | None) -> None:
        """Initialize.

        Args:
            spec: what it is told.
            command: makes its command line.
            relay: copies its output; None to send all of it to its log file.
        """
        self.spec = spec
        self.exit_code: int | None = None
        self.starts = 0
        self.parts: list[LocalWorker] = []
        self._command = command
        self._relay = relay
        self._process: subprocess.Popen[bytes] | None = None
        self._delay = _FIRST_DELAY
        self._started = 0.0
        self._due = 0.0
        self._watched = True
        self._stopped: list[str] = []

    @property
    def running(self) -> bool:
        """Whether it still has something to do, also while it waits for its next start."""
        return self.exit_code is None

    @property
    def classes(self) -> set[str]:
        """Names of its trackers' classes, without their modules."""
        return {full_target(each.target).rpartition(":")[2] for each in self.spec.declarations}

    @property
    def gave_up(self) -> list[str]:
        """Names of its trackers that left for good without having handled everything."""
        if self.parts or self._stopped:
            return self._stopped + [name for part in self.parts for name in part.gave_up]
        if self.exit_code in {
            None,
            os.EX_OK,
            os.EX_TEMPFAIL,
        }:  # another one has its name, and works
            return []
        return [each.name for each in self.spec.declarations]

    @property
    def watched(self) -> bool:
        """Whether it is to be started again when it dies."""
        return self._watched and self.running

    def attend(self, now: float) -> None:
        """Start it where that is due, and note its end.

        Args:
            now: monotonic time in seconds.
        """
        if not self.watched:
            return
        if self.parts:
            self._attend_parts(now)
            return
        if self._process is None:
            if now >= self._due:
                self._start(now)
            return
        code = self._process.poll()
        if code is not None:
            self._process = None
            self._ended(code, now)

    def let_go(self) -> None:
        """Leave the process alone: it outlives this one."""
        self._watched = False
        for part in self.parts:
            part.let_go()
        if self._process is not None:
            # Popen warns about a process that it still takes for its own
            self._process.returncode = 0
            self._process = None

    def _ended(self, code: int, now: float) -> None:
        if code in FINAL_CODES:
            self.exit_code = code
            return
        if code == SPLIT_CODE:
            self._split()
            self._attend_parts(now)
            return
        if now - self._started > _STABLE:
            self._delay = _FIRST_DELAY
        self._due = now + self._delay
        self._delay = min(self._delay * 2, _MAX_DELAY)

    def _split(self) -> None:
        """Make a worker of each tracker that has something to do and may try."""
        for each in self.spec.declarations:
            part = alone(self.spec, each)
            try:
                stopped = owed.read(pathlib.Path(part.owed)).stopped
            except (OSError, WorkerSpecError):
                continue  # it has handled all, or somebody else has seen to it
            if stopped:
                self._stopped.append(each.name)
            else:
                self.parts.append(LocalWorker(part, self._command, self._relay))

    def _attend_parts(self, now: float) -> None:
        for part in self.parts:
            part.attend(now)
        at_work = [each for part in self.parts if part.running for each in part.spec.declarations]
        if at_work:
            self.spec = self.spec.model_copy(update={"declarations": at_work})
        else:
            self.exit_code = max((part.exit_code or 0 for part in self.parts), default=0)

    def _start(self, now: float) -> None:
        self._started = now
        self.starts += 1
        try:
            self._process = spawn(self._command(self.spec), self.spec, self._relay)
        except OSError:
            self._ended(os.EX_OSERR, now)  # no memory or descriptors: try again later


class Supervisor:
    """All local workers of this process, watched by one daemon thread."""

    def __init__(self, command: Command = worker_command) -> None:
        """Initialize.

        Args:
            command: makes a worker's command line.
        """
        self.relay: Final = Relay()
        self._command = command
        self._workers: list[LocalWorker] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, spec: WorkerSpec, *, quiet: bool = False) -> LocalWorker:
        """Start a worker, and start it again when it dies. Returns at once.

        Args:
            spec: what it is told.
            quiet: send its output to its log file.
        """
        worker = LocalWorker(spec, self._command, None if quiet else self.relay)
        with self._lock:
            self._workers.append(worker)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="drytorch-workers", daemon=True
                )
                self._thread.start()
        return worker

    def wait(self, workers: Iterable[LocalWorker], timeout: float) -> list[LocalWorker]:
        """Wait for workers to end for good, and return those that have not.

        Args:
            workers: whom to wait for.
            timeout: longest wait in seconds.
        """
        until = time.monotonic() + timeout
        waited = list(workers)
        while (left := [each for each in waited if each.running]) and time.monotonic() < until:
            time.sleep(_TICK / 4)
        if not left:
            self.relay.drain(max(min(until - time.monotonic(), _DRAIN), 0.0))
        return left

    @staticmethod
    def gave_up(workers: Iterable[LocalWorker]) -> list[str]:
        """Return the trackers that left for good without having handled everything.

        Args:
            workers: whose trackers.
        """
        return [name for worker in workers for name in worker.gave_up]

    def let_go(self) -> None:
        """Leave all workers alone; they outlive this process."""
        with self._lock:
            for worker in self._workers:
                worker.let_go()

    def abandon(self) -> None:
        """Forget all workers in a forked child: they are the parent's."""
        # without the lock: a thread that the child does not have may hold it
        for worker in self._workers:
            worker.let_go()
        self.relay.close_in_child()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._workers = [each for each in self._workers if each.watched]
                if not self._workers:
                    self._thread = None
                    return
                for worker in self._workers:
                    worker.attend(time.monotonic())
            time.sleep(_TICK)


class _Local:
    """The supervisor of this process, made at first use."""

    supervisor: Supervisor | None = None


def local_supervisor() -> Supervisor:
    """Return the supervisor of this process; a forked child has one of its own."""
    if _Local.supervisor is None:
        _Local.supervisor = Supervisor()
    return _Local.supervisor


def _at_exit() -> None:
    if _Local.supervisor is not None:
        _Local.supervisor.let_go()
        _Local.supervisor.relay.hush(_HUSH)


def _after_fork() -> None:
    inherited, _Local.supervisor = _Local.supervisor, None
    if inherited is not None:
        inherited.abandon()


os.register_at_fork(after_in_child=_after_fork)
# registered before any run is: the stop of one that is still open comes first, and waits
atexit.register(_at_exit)
