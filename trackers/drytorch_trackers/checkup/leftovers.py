"""What dead trainings left behind: spools, and workers that still have something to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drytorch_client.broker_address import local_endpoint
from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers import owed
from drytorch_schemas import spool_files
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import journal_dir, owed_dir, spool_dir
from drytorch_schemas.locks import FileLock
from drytorch_trackers.checkup.finding import Finding, reason
from drytorch_trackers.wording import named, plural, short, size

#: A worker is on the list before it is started: so long it may take to begin, seconds.
BEGINS_WITHIN: Final = 15.0
#: Most bytes of one spool that are read to count its events.
MOST_READ: Final = 64 << 20


@dataclass(slots=True)
class _Dead:
    """The spool of a dead training.

    Attributes:
        folder: where it lies.
        target: URL of the broker that it is for, empty for this user's own.
        events: how many are in it; those that were acknowledged may be among them.
        whole: whether all of it was counted.
    """

    folder: Path
    target: str
    events: int
    whole: bool


def spools() -> Finding:
    """Return the spools of living and of dead trainings."""
    living, dead, problems, used = 0, list[_Dead](), list[str](), 0
    for folder in _folders():
        used += sum(path.stat().st_size for path in spool_files.spool_segments(folder))
        lock = spool_files.lock_path(folder)
        if not lock.exists():
            problems += _without_lock(folder)
        elif FileLock.held_by_other(lock):
            living += 1
        else:
            try:
                dead.append(_counted(folder))
            except SchemaError as error:
                problems.append(_as_sentence(folder, error))
    left = [each for each in dead if each.events]
    problems += _owned(left)
    text = f"{plural(living, 'training')} at work; "
    text += (
        f"{_events(left)} left by {len(left)} dead ones" if left else "nothing left by dead ones"
    )
    facts: dict[str, Any] = {"living": living, "bytes": used, "dead": [_plain(x) for x in dead]}
    return Finding("spools", f"{text} ({size(used)})" if used else text, problems, facts)


def _folders() -> Iterator[Path]:
    if spool_dir().is_dir():
        yield from sorted(path for path in spool_dir().iterdir() if path.is_dir())


def _without_lock(folder: Path) -> list[str]:
    """Return a sentence on a spool that nobody takes for one; an empty one is just being made."""
    if not spool_files.spool_segments(folder):
        return []
    problem = (
        f"The spool {short(folder)} has lost its file `lock`, so that nobody delivers it: make an "
        f"empty one there, and run `drytorch sync`."
    )
    return [problem]


def _as_sentence(folder: Path, error: SchemaError) -> str:
    text = str(error)
    return text if str(folder) in text else f"The spool {short(folder)} cannot be read: {text}"


def _counted(folder: Path) -> _Dead:
    meta = spool_files.read_meta(folder)
    events, read = 0, 0
    for path in spool_files.spool_segments(folder):
        read += path.stat().st_size
        if read > MOST_READ:
            break
        for item in spool_files.batches(path):
            events += item.count if isinstance(item, spool_files.Batch) else 0
    own = {str(journal_dir()), str(journal_dir().resolve()), local_endpoint().url}
    target = meta.broker or meta.journal
    return _Dead(folder, "" if target in own else target, events, read <= MOST_READ)


def _events(spools_left: list[_Dead]) -> str:
    count = sum(each.events for each in spools_left)
    return f"{'up to' if all(each.whole for each in spools_left) else 'over'} {count:,} events"


def _owned(left: list[_Dead]) -> Iterator[str]:
    """Yield a sentence for each broker that dead trainings have left something for."""
    for target in sorted({each.target for each in left}):
        of_target = [each for each in left if each.target == target]
        who = plural(len(of_target), "dead training")
        places = "its spool" if len(of_target) == 1 else "their spools"
        left_there = f"{who} left {_events(of_target)} in {places}"
        if target:
            yield f"{left_there} for the broker at {target}: run `drytorch sync` when it answers."
        else:
            yield f"{left_there}: run `drytorch sync`."


def _plain(each: _Dead) -> dict[str, Any]:
    return {
        "folder": str(each.folder),
        "for": each.target,
        "events": each.events,
        "counted": each.whole,
    }


def workers() -> Finding:
    """Return the workers on the owed list."""
    everybody = list(owed.pending(at_work=True))
    idle = {each.file for each in owed.pending()}
    late = {each.file for each in owed.pending(BEGINS_WITHIN)}
    waiting = [
        each for each in everybody if each.file in idle and (each.stopped or each.file in late)
    ]
    at_work = [each.spec.name for each in everybody if each not in waiting]
    text = f"{len(at_work)} at work; "
    text += f"{len(waiting)} not at work and not done" if waiting else "no others have things to do"
    facts = {
        "at_work": at_work,
        "waiting": [
            {"name": each.spec.name, "stopped": each.stopped, "startable": each.spec.startable}
            for each in waiting
        ],
    }
    problems = [*_damaged({each.file for each in everybody}), *_of_waiting(waiting)]
    return Finding("workers", text, problems, facts)


def _damaged(readable: set[Path]) -> Iterator[str]:
    if not owed_dir().is_dir():
        return
    for file in sorted(set(owed_dir().glob("*.msgpack")) - readable):
        try:
            owed.read(file)
        except WorkerSpecError as error:
            yield str(error)
        except OSError as error:
            if os.path.lexists(file):
                yield f"{file} cannot be read ({reason(error)}): change its permissions."


def _of_waiting(waiting: list[owed.Owed]) -> Iterator[str]:
    for each in waiting:
        if not each.spec.startable:
            trackers = ", ".join(part.name for part in each.spec.declarations)
            yield (
                f"Worker {each.spec.name} cannot be started by anybody else, because its training "
                f"handed {trackers} over and is gone: put the class into a module, give that to "
                f"`drytorch replay --to`, and remove {short(each.file)}."
            )
        elif each.stopped:
            yield (
                f"Worker {each.spec.name} stopped ({each.stopped.rstrip('.')}): mend the cause, "
                f"and run `drytorch sync`."
            )
    names = [each.spec.name for each in waiting if each.spec.startable and not each.stopped]
    if names:
        yield (
            f"{named(names)} {'is' if len(names) == 1 else 'are'} not at work, with things left to "
            f"do: run `drytorch sync`, unless a living training is about to start them again."
        )
