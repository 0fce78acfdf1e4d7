"""Workers by name: who holds the name, how far it is, what it could not handle."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any, Final

from drytorch_broker.worker_files import WorkerFiles
from drytorch_schemas.control import (
    Attach,
    Attached,
    Commit,
    DeadLetter,
    Detach,
    Done,
    Refused,
)
from drytorch_schemas.processes import is_running

_log: Final = logging.getLogger(__name__)
#: A worker on another host that gave no sign of life for so long has lost its name, seconds.
SIGN_OF_LIFE: Final = 15.0
#: A committed cursor is on disk at the latest after this many seconds (a kill costs that much
#: work again, never an event).
WRITE_AFTER: Final = 0.25
_MAX_DEAD_KEYS: Final = 100_000
_KEPT: Final = (
    *("name", "instance", "journal", "cursor", "host", "pid", "trackers", "filters"),
    *("run_scoped", "attached", "done", "dead", "skipped", "last_error"),
)


@dataclass(slots=True)
class Worker:
    """What the broker knows of a worker.

    Attributes:
        name: its name.
        instance: the process that holds the name.
        journal: the journal that the cursor is good for.
        cursor: the next offset that it has not handled.
        host: name of its host.
        pid: its process.
        trackers: names of its trackers.
        filters: what it wants, plain data.
        run_scoped: whether the cursor goes when the worker is done.
        attached: whether it has not detached.
        done: whether it has handled all that it ever will.
        dead: number of its dead letters.
        skipped: records that retention removed before it had them.
        last_error: the last error of one of its trackers.
        seen: when it last gave a sign of life, on the caller's clock.
        dirty: whether the file is behind.
    """

    name: str
    instance: str = ""
    journal: str = ""
    cursor: int = 0
    host: str = ""
    pid: int = 0
    trackers: list[str] = field(default_factory=list)
    filters: list[dict[str, Any]] = field(default_factory=list)
    run_scoped: bool = False
    attached: bool = False
    done: bool = False
    dead: int = 0
    skipped: int = 0
    last_error: str = ""
    seen: float = 0.0
    dirty: bool = False
    dead_keys: set[tuple[int, str]] = field(default_factory=set)

    def lives(self, now: float) -> bool:
        """Tell whether the process that holds the name may still be at work."""
        if not self.attached:
            return False
        if self.host == os.uname().nodename and self.pid > 0:
            return is_running(self.pid)
        return now - self.seen < SIGN_OF_LIFE


class Workers:
    """All workers that have a cursor here."""

    def __init__(self, files: WorkerFiles, journal: str, now: float) -> None:
        """Load the cursors.

        Args:
            files: where they are kept.
            journal: the journal's id.
            now: the time, seconds.
        """
        self._files = files
        self._journal = journal
        self._written = now
        self.by_name: dict[str, Worker] = {}
        for fields in files.load():
            self._restore(fields, now)

    def _restore(self, fields: dict[str, Any], now: float) -> None:
        try:
            worker = Worker(**{name: fields[name] for name in _KEPT}, seen=now)
            letters = self._files.dead(worker.name)
            worker.dead_keys = {(each["offset"], each["tracker"]) for each in letters}
        except (KeyError, TypeError) as error:
            name = str(fields.get("name"))
            self._files.set_aside(self._files.file_name(name), f"{type(error).__name__}: {error}")
            return
        self.by_name[worker.name] = worker

    def attach(
        self, message: Attach, now: float, start: int, head: int, ports: dict[str, int]
    ) -> Attached | Refused:
        """Give a worker its name and its cursor.

        Args:
            message: what it says.
            now: the time, seconds.
            start: the first offset that is kept.
            head: the first offset not yet used.
            ports: TCP ports to tell it.
        """
        worker = self.by_name.get(message.worker)
        if worker and worker.instance != message.instance and worker.lives(now):
            text = (
                f"The name {message.worker!r} is taken by process {worker.pid} "
                f"on {worker.host or 'another host'}: choose another --name."
            )
            return Refused(id=message.id, code="name_taken", text=text)
        kept = worker is not None and worker.journal == self._journal
        if worker is None or not kept:
            cursor = {"now": head, "start": start, "cursor": start}.get(message.start)
            worker = Worker(message.worker, cursor=int(message.start) if cursor is None else cursor)
            worker.cursor = min(worker.cursor, head)
        skipped = max(start - worker.cursor, 0) if kept else 0
        self._take_over(worker, message, now)
        worker.cursor = min(max(worker.cursor, start), head)
        worker.skipped += skipped
        self._save(worker)
        return Attached(
            id=message.id,
            journal=self._journal,
            cursor=worker.cursor,
            head=head,
            kept=kept,
            skipped=skipped,
            ports=ports,
        )

    def _take_over(self, worker: Worker, message: Attach, now: float) -> None:
        worker.instance, worker.journal = message.instance, self._journal
        worker.host, worker.pid = message.host, message.pid
        worker.trackers = list(message.trackers)
        worker.filters = [each.model_dump() for each in message.filters]
        worker.run_scoped, worker.seen = message.run_scoped, now
        worker.attached, worker.done = True, False
        self.by_name[worker.name] = worker

    def commit(self, message: Commit, now: float, head: int) -> Done | Refused:
        """Move a worker's cursor forward.

        Args:
            message: what it says.
            now: the time, seconds.
            head: the first offset not yet used.
        """
        worker = self._held(message, now)
        if isinstance(worker, Refused):
            return worker
        if message.journal != self._journal:
            text = f"the journal here is {self._journal}: attach again"
            return Refused(id=message.id, code="journal", text=text)
        if message.cursor > head:
            text = f"the cursor {message.cursor} lies beyond the journal's head {head}"
            return Refused(id=message.id, code="bad_request", text=text)
        if message.cursor > worker.cursor or message.last_error != worker.last_error:
            worker.cursor = max(worker.cursor, message.cursor)
            worker.last_error, worker.dirty = message.last_error, True
        return Done(id=message.id)

    def dead_letter(self, message: DeadLetter, now: float) -> Done | Refused:
        """Put aside an event that a worker could not handle; the same one counts once.

        Args:
            message: what it says.
            now: the time, seconds.
        """
        worker = self._held(message, now)
        if isinstance(worker, Refused):
            return worker
        key = (message.offset, message.tracker)
        if key not in worker.dead_keys:
            letter = message.model_dump(include={"offset", "tracker", "error", "topic"})
            try:
                self._files.add_dead(worker.name, letter)
            except OSError as error:
                text = f"the dead letter cannot be written ({error.strerror}): send it again later"
                return Refused(id=message.id, code="full", text=text)
            if len(worker.dead_keys) < _MAX_DEAD_KEYS:
                worker.dead_keys.add(key)
            worker.dead += 1
            worker.last_error = message.error.splitlines()[0][:2000] if message.error else ""
            worker.dirty = True
        return Done(id=message.id)

    def detach(self, message: Detach, now: float) -> Done | Refused:
        """Let a worker go.

        Args:
            message: what it says.
            now: the time, seconds.
        """
        worker = self._held(message, now)
        if isinstance(worker, Refused):
            return worker
        worker.attached, worker.done = False, message.done
        if worker.run_scoped and message.done and not worker.dead:
            del self.by_name[worker.name]
            self._remove(worker)
        else:
            self._save(worker)
        return Done(id=message.id)

    def _held(self, message: Commit | DeadLetter | Detach, now: float) -> Worker | Refused:
        worker = self.by_name.get(message.worker)
        if worker is None or not worker.instance:
            text = f"no worker {message.worker!r} is attached here: attach first"
            return Refused(id=message.id, code="unknown", text=text)
        if worker.instance != message.instance:
            text = f"the name {message.worker!r} was taken over by another process"
            return Refused(id=message.id, code="name_taken", text=text)
        if worker.journal != self._journal:
            text = f"the journal here is {self._journal}: attach again"
            return Refused(id=message.id, code="journal", text=text)
        worker.seen, worker.attached = now, True
        return worker

    def letters(self, name: str) -> list[dict[str, Any]]:
        """Return a worker's dead letters, oldest first."""
        return self._files.dead(name)

    def attached(self, now: float) -> list[Worker]:
        """Return the workers that are at work."""
        return [worker for worker in self.by_name.values() if worker.lives(now)]

    def lowest_cursor(self) -> int | None:
        """Return the cursor of the worker that is furthest behind; None without workers."""
        return min(
            (
                worker.cursor
                for worker in self.by_name.values()
                if worker.journal == self._journal and not (worker.run_scoped and worker.done)
            ),
            default=None,
        )

    def tick(self, now: float) -> None:
        """Write the cursors that moved, every `WRITE_AFTER` seconds.

        Args:
            now: the time, seconds.
        """
        if now - self._written >= WRITE_AFTER:
            self._written = now
            self.flush()

    def flush(self) -> None:
        """Write the cursors that moved."""
        for worker in self.by_name.values():
            if worker.dirty:
                self._save(worker)

    def _save(self, worker: Worker) -> None:
        fields = {name: getattr(worker, name) for name in _KEPT}
        try:
            self._files.save(worker.name, fields)
            worker.dirty = False
        except OSError as error:
            worker.dirty = True
            _log.warning("the cursor of %r cannot be written: %s", worker.name, error.strerror)

    def _remove(self, worker: Worker) -> None:
        try:
            self._files.remove(worker.name)
        except OSError as error:
            _log.warning("the cursor of %r cannot be removed: %s", worker.name, error.strerror)
