"""Runs whose producer is gone without a word, and those whose producer comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from drytorch_broker.committer import Committer
from drytorch_broker.log import TopicKey
from drytorch_broker.producers import Producer
from drytorch_broker.runs import RunInfo
from drytorch_broker.state import State
from drytorch_schemas import locations, spool_files
from drytorch_schemas.errors import LocationError
from drytorch_schemas.events import RunFoundEvent, RunLostEvent
from drytorch_schemas.locks import FileLock
from drytorch_schemas.processes import is_running

#: How often to look, seconds.
LOOK_EVERY: Final = 1.0
#: A producer whose life cannot be seen from here is lost after so many seconds without a word.
SILENCE: Final = 60.0
#: A process of this host that is not there any more is lost after so many seconds of silence:
#: longer than its ping, since process numbers of containers mean nothing here. So is one that says
#: nothing to a broker that has just been started: shorter than such a broker's idle time.
_SILENCE_WITHOUT_PROCESS: Final = 15.0
_ID: Final = re.compile(r"[0-9a-f]{32}")


class LostRuns:
    """Writes RunLost and RunFound."""

    def __init__(self, state: State, committer: Committer, now: float) -> None:
        """Initialize.

        Args:
            state: the broker's state.
            committer: takes the notes.
            now: the time, seconds.
        """
        self._state = state
        self._committer = committer
        self._lost_at: dict[str, float] = {}
        self._started = now

    def look(self, now: float, left_more: Callable[[str], bool]) -> bool:
        """Write what changed since the last look; tell whether there was anything.

        Args:
            now: the time, seconds.
            left_more: tells of a dead producer whether its spool is still to be delivered. It may
                hold the run's end, and workers leave when they are told that a run is lost.
        """
        if self._state.failing:
            return False
        changed = False
        for info in self._state.runs.by_uuid.values():
            producer = self._state.inlet.producers.get(info.owner)
            if producer is None:
                continue
            if info.over:
                changed |= self._find(info, producer)
            elif (reason := self._why_gone(producer, now)) and not left_more(producer.id):
                self._lost_at[info.run] = now
                self._note(RunLostEvent(producer=producer.id, reason=reason), info)
                changed = True
        return changed

    def _find(self, info: RunInfo, producer: Producer) -> bool:
        if info.status != "lost" or producer.adopted or producer.finished:
            return False
        if producer.seen <= self._lost_at.get(info.run, self._started):
            return False
        self._lost_at.pop(info.run, None)
        self._note(RunFoundEvent(producer=producer.id), info)
        return True

    def _note(self, event: RunLostEvent | RunFoundEvent, info: RunInfo) -> None:
        key = TopicKey(info.experiment, info.run_id, info.run, event.kind)
        self._committer.note(event, key, time.time_ns())

    def _why_gone(self, producer: Producer, now: float) -> str | None:
        silent = now - producer.seen
        if producer.finished:
            if producer.adopted:
                return "its process ended without a word"
            return "its process left without stopping the run"
        if producer.highest > producer.appended:
            return f"silent for {silent:.0f} s" if silent > SILENCE else None
        if producer.host == self._state.host and _ID.fullmatch(producer.id):
            lives = owner_lives(producer.id)
            if lives is None:
                gone = not producer.heard or (producer.pid > 0 and not is_running(producer.pid))
                lives = not (gone and silent > _SILENCE_WITHOUT_PROCESS) and silent <= SILENCE
            return None if lives else "its process ended without a word"
        return f"silent for {silent:.0f} s" if silent > SILENCE else None


def owner_lives(producer: str) -> bool | None:
    """Tell from the lock of its spool whether a producer of this host lives; None: no spool here.

    The path is built from the producer's id, never taken from a message.

    Args:
        producer: id of the producer, 32 hexadecimal digits.
    """
    folder = spool_files.spool_folder(locations.spool_dir(), producer)
    lock = spool_files.lock_path(folder)
    try:
        if not lock.exists():
            return None
        return FileLock.held_by_other(lock)
    except (OSError, LocationError):
        return None
