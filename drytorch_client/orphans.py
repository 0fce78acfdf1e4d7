"""What dead producers of this host left in their spools, delivered under their own ids.

A broker takes the spools of its own host by itself; a broker on another host cannot see them. A
spool names its broker and goes to no other one. Whoever delivers it holds its lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drytorch_client.producer import Producer
from drytorch_client.uplink import Uplink
from drytorch_client.wire import Wire
from drytorch_schemas import spool_files
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import spool_dir
from drytorch_schemas.frames import UplinkHeader
from drytorch_schemas.locks import FileLock
from drytorch_schemas.spool_files import Batch

_PERIOD: Final = 0.01
_LINGER: Final = 0.2


class AdoptedSpool:
    """The spool of a dead producer, which is only read.

    Attributes:
        last: the last sequence number in it, 0 where it is empty.
    """

    def __init__(self, folder: Path) -> None:
        """Look through the spool's files.

        Args:
            folder: the spool's folder.

        Raises:
            VersionError: of a newer format version than this program reads.
            NotAJournalError: its last file is none of ours.
            OSError: it cannot be read.
        """
        self._files = [(int(path.stem), path) for path in spool_files.spool_segments(folder)]
        self.last = 0
        while self._files and not self.last:
            batches = _batches(self._files[-1][1])
            if batches:
                self.last = batches[-1].first + batches[-1].count - 1
            else:  # torn before its first batch
                self._files.pop()

    @property
    def oldest(self) -> int | None:
        """The oldest sequence number in it, None where it is empty."""
        return self._files[0][0] if self._files else None

    def read(self, seq: int) -> list[Batch]:
        """Return the batches of the file that holds a sequence number, from that one on.

        Args:
            seq: the sequence number.
        """
        holding = [path for first, path in self._files if first <= seq]
        if not holding:
            return []
        with contextlib.suppress(OSError, SchemaError):
            return [each for each in _batches(holding[-1]) if each.first + each.count > seq]
        return []

    def trim(self, durable: int) -> None:
        """Keep everything: the folder is removed as a whole."""

    def lose(self, seq: int) -> int | None:
        """Return the first number behind the file that cannot be read, if any.

        Args:
            seq: a number in that file.
        """
        return next((first for first, _ in self._files if first > seq), None)


def _batches(path: Path) -> list[Batch]:
    return [each for each in spool_files.batches(path) if isinstance(each, Batch)]


def find(broker: str) -> list[Path]:
    """Return the spools whose producer is dead and that are for a broker.

    Args:
        broker: its URL.
    """
    return [
        folder
        for folder, meta in spool_files.readable_spools(spool_dir())
        if meta.broker == broker and spool_files.is_orphan(folder)
    ]


def deliver_all(broker: str, until: float, stop: threading.Event | None = None) -> bool:
    """Deliver all spools that are for a broker; tell whether none is left.

    Args:
        broker: its URL.
        until: when to give up, monotonic seconds.
        stop: set by whoever wants it to end early.
    """
    stopped = stop.is_set if stop is not None else lambda: False
    left = 0
    for folder in find(broker):
        left += not deliver(folder, until, stopped)
    return not left


def deliver(
    folder: Path,
    until: float,
    stopped: Callable[[], bool] = lambda: False,
    *,
    to: Endpoint | None = None,
    keep: bool = False,
) -> bool:
    """Deliver one spool, and remove it.

    Args:
        folder: the spool's folder.
        until: when to give up, monotonic seconds.
        stopped: tells whether to give up now.
        to: the broker; None for the one that the spool names.
        keep: leave the spool as it is, also where it cannot be written to; a broker drops what it
            has already.

    Returns:
        Whether it is delivered, by us or by somebody who was faster.

    Raises:
        VersionError: its format is newer than this program.
        SchemaError: it is damaged, or names no broker.
    """
    lock = FileLock(spool_files.lock_path(folder))
    try:
        if not lock.acquire():
            return False
    except FileNotFoundError:
        return True
    except OSError:
        if not keep:
            return False
    try:
        meta = spool_files.read_meta(folder)
        spool = AdoptedSpool(folder)
        producer = Producer(meta.producer, meta.token, meta.host, meta.pid, adopted=True)
        uplink = Uplink(producer, spool, upcoming=spool.last + 1)
        endpoint = to or Endpoint.from_url(meta.broker)
        if spool.last and not _deliver(uplink, endpoint, until, stopped):
            return False
        if not keep:
            spool_files.remove_spool(folder)
    except OSError:
        return not folder.exists()
    finally:
        lock.release()
    return True


def _deliver(uplink: Uplink, endpoint: Endpoint, until: float, stopped: Callable[[], bool]) -> bool:
    who = uplink.producer
    wire = Wire(endpoint)
    uplink.close(time.monotonic())
    try:
        while not uplink.finished and (now := time.monotonic()) < until and not stopped():
            for up in wire.presence():
                if up:
                    uplink.connected(now)
                else:
                    uplink.disconnected()
            for message in wire.messages():
                uplink.on_message(message, now)
            for message in uplink.tick(now):
                wire.send_control(message)
            while (batch := uplink.next_batch()) is not None:
                header = UplinkHeader(False, who.id, who.token, batch.first, batch.count)  # noqa: FBT003  # not live
                if not wire.send_batch(header, batch.body):
                    break
                uplink.sent(batch, now)
            if uplink.refusal is not None:
                return False
            wire.wait(_PERIOD)
    finally:
        wire.close(_LINGER)
    return uplink.finished


class Adopter:
    """Delivers, beside the sender thread, what dead producers left for the same broker."""

    def __init__(self, broker: str) -> None:
        """Initialize.

        Args:
            broker: URL of the broker.
        """
        self._broker: Final = broker
        self._stop: Final = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> None:
        """Begin, once; it ends by itself.

        Args:
            seconds: longest time that it takes.
        """
        if self._thread is None and find(self._broker):
            until = time.monotonic() + seconds
            self._thread = threading.Thread(
                target=self._run, args=(until,), name="drytorch-adopter", daemon=True
            )
            self._thread.start()

    def _run(self, until: float) -> None:
        with contextlib.suppress(SchemaError):
            deliver_all(self._broker, until, self._stop)

    def close(self) -> None:
        """End it early."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _LINGER)
