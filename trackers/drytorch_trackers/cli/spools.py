"""Spools of dead producers on this host, and who delivers them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drytorch_client.broker_address import local_broker_runs, local_endpoint
from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control, spool_files
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import journal_dir, spool_dir
from drytorch_trackers import exit_codes
from drytorch_trackers.errors import WorkError

_TICK: Final = 0.1
_TIMEOUT: Final = 2.0
_IDLE_EXIT: Final = "30"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A spool whose producer is dead.

    Attributes:
        folder: where it lies.
        meta: whose it is, and for which broker.
    """

    folder: Path
    meta: spool_files.SpoolMeta

    @property
    def target(self) -> str:
        """The broker that it is for, as a user would name it."""
        return self.meta.broker or f"the journal {self.meta.journal}"

    @property
    def is_local(self) -> bool:
        """Whether it is for this user's own broker on this host."""
        own = {str(journal_dir()), str(journal_dir().resolve()), local_endpoint().url}
        return bool({self.meta.journal, self.meta.broker} & own)


def orphans() -> list[Orphan]:
    """Return the spools of dead producers of this host that can be read."""
    return _dead(spool_dir())


def carried(folder: Path) -> list[Orphan]:
    """Return the spools of dead producers in a folder that was brought from another host.

    Args:
        folder: one spool, a folder of spools, or a host's state folder.

    Raises:
        WorkError: there is none.
    """
    found = [
        Orphan(*each) for each in _spools(_spool_folder(folder)) if spool_files.is_orphan(each[0])
    ]
    if not found:
        raise WorkError(
            f"{folder} holds no spool of a dead training: name a spool, or the folder `spool` of a "
            f"host's state.",
            exit_codes.NO_INPUT,
        )
    return found


def rows(folder: Path | None) -> list[dict[str, Any]]:
    """Return what there is to know of spools, those of living producers included.

    Args:
        folder: as `carried` takes it; None for this host's own.
    """
    found = []
    for path, meta in _spools(spool_dir() if folder is None else _spool_folder(folder)):
        segments = spool_files.spool_segments(path)
        found.append(
            {
                "producer": meta.producer,
                "host": meta.host,
                "pid": meta.pid,
                "alive": not spool_files.is_orphan(path),
                "broker": meta.broker or meta.journal,
                "bytes": sum(each.stat().st_size for each in segments),
                "events": _events_in(segments),
                "folder": str(path),
            }
        )
    return found


def _events_in(segments: list[Path]) -> int:
    count = 0
    for segment in segments:
        with contextlib.suppress(OSError, SchemaError):
            for each in spool_files.batches(segment):
                count += each.count if isinstance(each, spool_files.Batch) else 0
    return count


def _dead(folder: Path) -> list[Orphan]:
    return [Orphan(*each) for each in _spools(folder) if spool_files.is_orphan(each[0])]


def _spool_folder(folder: Path) -> Path:
    if (folder / spool_files.META_FILE).exists():
        return folder
    inside = folder / spool_dir().name
    return inside if inside.is_dir() else folder


def _spools(folder: Path) -> Iterator[tuple[Path, spool_files.SpoolMeta]]:
    """Yield the spools in a folder, or the folder itself where it is one."""
    if not (folder / spool_files.META_FILE).exists():
        yield from spool_files.readable_spools(folder)
        return
    with contextlib.suppress(OSError, SchemaError):
        yield folder, spool_files.read_meta(folder)


def needs_local_broker(found: Iterable[Orphan], urls: Iterable[str]) -> bool:
    """Tell whether this user's own broker has something to do and does not run.

    Args:
        found: spools to deliver.
        urls: brokers of workers that are to be started.
    """
    if local_broker_runs():
        return False
    return any(each.is_local for each in found) or local_endpoint().url in set(urls)


def start_local_broker() -> None:
    """Start this user's own broker; it leaves when it is idle.

    Raises:
        WorkError: it cannot be started.
    """
    command = [sys.executable, "-P", "-m", "drytorch_broker", "start", "--detach"]
    done = subprocess.run(
        [*command, "--idle-exit", _IDLE_EXIT],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {exit_codes.OK, exit_codes.TAKEN}:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise WorkError(f"No broker can be started: {reason}", done.returncode)


def deliver(found: list[Orphan], until: float) -> list[str]:
    """Deliver spools, and return a sentence about each that was not.

    A broker takes in the spools of its own host by itself; others are sent to theirs.

    Args:
        found: the spools.
        until: when to give up, monotonic seconds.
    """
    problems = []
    answers: dict[str, bool] = {}
    for each in found:
        url = each.meta.broker
        if url and url not in answers:
            answers[url] = _answers(url)
        if answers.get(url, True) and _delivered(each, until):
            continue
        problems.append(
            f"The spool {each.folder} was not delivered to {each.target}: start that broker."
        )
    return problems


def deliver_to(found: list[Orphan], endpoint: Endpoint, until: float, *, keep: bool) -> list[str]:
    """Deliver spools to a broker that the user names, and return a sentence about each failure.

    Args:
        found: the spools.
        endpoint: where the broker listens.
        until: when to give up, monotonic seconds.
        keep: leave them as they are.
    """
    from drytorch_client.orphans import deliver as send

    problems = []
    for each in found:
        reason = "it was not acknowledged in time"
        try:
            if send(each.folder, until, to=endpoint, keep=keep):
                continue
        except SchemaError as error:
            reason = str(error).rstrip(".")
        problems.append(f"The spool {each.folder} was not delivered to {endpoint.url}: {reason}.")
    return problems


def _delivered(orphan: Orphan, until: float) -> bool:
    from drytorch_client.orphans import deliver as send

    try:
        if orphan.meta.broker and send(orphan.folder, until):
            return True
    except SchemaError:
        return False  # damaged beyond reading, or newer than this program
    while orphan.folder.exists() and time.monotonic() < until:
        time.sleep(_TICK)
    return not orphan.folder.exists()


def _answers(url: str) -> bool:
    try:
        with ControlChannel(Endpoint.from_url(url)) as channel:
            channel.request(control.Ask(what="status"), _TIMEOUT)
    except (BrokerAwayError, SchemaError):
        return False
    return True
