"""What `Ask` answers, as plain data."""

from __future__ import annotations

import importlib.metadata
import os
import time
from fnmatch import fnmatchcase
from typing import Any, Final

from drytorch_broker.lost import SILENCE
from drytorch_broker.state import State
from drytorch_schemas.limits import MAX_FETCH_BYTES, PROTOCOL_VERSION
from drytorch_schemas.processes import is_running

#: Most runs and dead letters in one answer: the latest.
_MAX_ROWS: Final = 10_000


def of_broker(state: State, url: str, now: float) -> dict[str, Any]:
    """Return the state of the broker.

    Args:
        state: what it knows.
        url: where it listens.
        now: the time on the broker's clock, seconds.
    """
    log, inlet, counters = state.log, state.inlet, state.counters
    return {
        "version": importlib.metadata.version("drytorch-bus"),
        "protocol": PROTOCOL_VERSION,
        "pid": os.getpid(),
        "host": state.host,
        "url": url,
        "journal": log.journal_id,
        "folder": str(state.config.journal),
        "ready": not state.failing,
        "full": bool(state.failing),
        "reason": state.failing,
        "start": log.start,
        "head": log.durable,
        "bytes": log.size,
        "max_bytes": state.config.max_bytes,
        "fsync": state.config.fsync,
        "uptime_s": time.time() - state.started,
        "producers": len(living(state, now)),
        "workers": len(state.workers.attached(now)),
        "held_bytes": inlet.held_bytes,
        "events": counters.events,
        "duplicates": counters.duplicates,
        "commits": counters.commits,
        "live": counters.live,
        "rejected": dict(state.rejects.counts),
        "damage": [*state.report, *log.damages][:_MAX_ROWS],
    }


def living(state: State, now: float) -> list[str]:
    """Return the ids of the producers that are, or may be, at work.

    Args:
        state: what the broker knows.
        now: the time on the broker's clock, seconds.
    """
    return [
        each.id
        for each in state.inlet.producers.values()
        if each.heard and not each.finished and now - each.seen < SILENCE
        if not (each.host == state.host and each.pid > 0 and not is_running(each.pid))
    ]


def of_runs(state: State, pattern: str) -> list[dict[str, Any]]:
    """Return the runs, oldest first.

    Args:
        state: what the broker knows.
        pattern: glob on the experiment's name; empty for all.
    """
    infos = sorted(state.runs.by_uuid.values(), key=lambda info: info.first_offset)
    rows = [
        {
            "experiment": info.experiment,
            "run_id": info.run_id,
            "run": info.run,
            "status": info.status,
            "events": info.events,
            "lost_events": info.lost_events,
            "started": info.started,
            "last": info.last,
            "first_offset": info.first_offset,
            "last_offset": info.last_offset,
            "host": info.host,
            "producer": info.owner,
        }
        for info in infos
        if not pattern or fnmatchcase(info.experiment, pattern)
    ]
    return rows[-_MAX_ROWS:]


def of_workers(state: State, now: float) -> list[dict[str, Any]]:
    """Return the workers by name.

    Args:
        state: what the broker knows.
        now: the time on the broker's clock, seconds.
    """
    head = state.log.durable
    return [
        {
            "name": worker.name,
            "trackers": worker.trackers,
            "filters": worker.filters,
            "cursor": worker.cursor,
            "lag": max(head - worker.cursor, 0),
            "dead": worker.dead,
            "skipped": worker.skipped,
            "last_error": worker.last_error,
            "attached": worker.lives(now),
            "run_scoped": worker.run_scoped,
            "host": worker.host,
            "pid": worker.pid,
            "seen_s": now - worker.seen,
        }
        for _, worker in sorted(state.workers.by_name.items())
    ]


def of_dead(state: State, name: str) -> list[dict[str, Any]]:
    """Return a worker's dead letters, the latest where they are many.

    Args:
        state: what the broker knows.
        name: the worker's name.
    """
    letters: list[dict[str, Any]] = []
    room = MAX_FETCH_BYTES
    for letter in reversed(state.workers.letters(name)[-_MAX_ROWS:]):
        room -= len(str(letter.get("error", ""))) * 4 + 200
        if room < 0:
            break
        letters.append(letter)
    return letters[::-1]
