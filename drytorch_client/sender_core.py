"""What a sender has in one process: queue, intake, spool, uplink and the thread that drives them.

A forked child gets a core, and with it a producer, of its own; the parent's is left alone there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

from drytorch_client.broker_address import endpoint_of
from drytorch_client.config import ClientConfig
from drytorch_client.courier import Courier
from drytorch_client.errors import SpoolError
from drytorch_client.event_queue import METRIC, EventQueue
from drytorch_client.identity import RunIdentity
from drytorch_client.intake import Intake
from drytorch_client.pace import Pace
from drytorch_client.producer import Producer
from drytorch_client.spool import Spool
from drytorch_client.status import SenderStatus
from drytorch_client.uplink import Uplink
from drytorch_schemas.folders import journal_dir, spool_dir
from drytorch_schemas.spool_files import SpoolMeta

_TOKEN_BYTES: Final = 16
#: Longest wait for the thread to end once it was told, beyond the linger of its sockets, seconds.
_JOIN: Final = 1.0


class SenderCore:
    """The parts of a sender that belong to one process.

    Attributes:
        pid: the process.
        queue: where `emit` puts events.
        intake: numbers and spools them.
        write_through: whether `emit` runs the intake itself.
    """

    def __init__(self, config: ClientConfig, on_new_journal: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            config: the client's options.
            on_new_journal: called by the thread when the broker has another journal than before.

        Raises:
            RuntimeError: the interpreter ends and starts no thread any more.
        """
        self.pid: Final = os.getpid()
        self.write_through: Final = config.spool == "before_return"
        self._config: Final = config
        self.queue: Final = EventQueue(config, self._wake)
        producer, self._spool = _producer(config)
        self.intake: Final = Intake(producer.id, self.queue, self._spool, config)
        self._identity: RunIdentity | None = None
        self._lost = 0
        self._uplink: Final = Uplink(
            producer,
            self._spool,
            pace=Pace(
                config.probe_after, config.probe_at_most, config.ping_every, config.hello_every
            ),
            window_bytes=config.window_bytes,
            on_new_journal=on_new_journal,
            on_lost=self._on_lost,
        )
        self._courier: Final = Courier(config, self.queue, self.intake, self._spool, self._uplink)
        self._thread: Final = threading.Thread(
            target=self._courier.run, name="drytorch-sender", daemon=True
        )
        if self.write_through:
            with contextlib.suppress(SpoolError):  # the thread finds out, and says so
                self._spool.open()
        self._thread.start()

    def _wake(self) -> None:
        self._courier.waker.wake()

    def expect_predecessors(self) -> None:
        """Let what dead processes of this host left go first, where a run is resumed."""
        self._courier.predecessors.expect()

    def overhead(self, identity: RunIdentity) -> int:
        """Return an upper bound of what a run adds to the size of its envelopes, bytes.

        Args:
            identity: the run; it is remembered as the one that losses belong to.
        """
        self._identity = identity
        names = (identity.experiment, identity.run_id, identity.run, identity.host)
        return 4 * sum(map(len, names))

    def write_now(self) -> None:
        """Write what is in the queue into the spool, in the calling thread."""
        while len(self.queue) and self._uplink.roomy and not self._spool.full:
            if not self.intake.drain(wait=True):
                return

    def _on_lost(self, first: int, last: int) -> None:
        self.intake.lost(first, last)
        if self._identity is not None:
            self.queue.lose(self._identity, "Unknown", "spool lost", last - first + 1)

    # ---- waiting

    def flush(self, timeout: float) -> bool:
        """Wait until what was accepted so far is acknowledged.

        Args:
            timeout: longest wait, seconds.

        Returns:
            Whether it is.
        """
        queue, uplink, progress = self.queue, self._uplink, self._courier.progress
        until = time.monotonic() + timeout
        mark = queue.accepted - queue.refused
        if queue.asleep:
            queue.rouse()

        def numbered() -> bool:
            return queue.taken >= mark and not self.intake.busy

        with progress:
            if not self._wait_for(numbered, until):
                return False
            last = self.intake.next - 1
            return self._wait_for(lambda: uplink.durable >= last, until)

    def _wait_for(self, condition: Callable[[], bool], until: float) -> bool:
        progress = self._courier.progress
        while not condition():
            left = until - time.monotonic()
            if left <= 0 or not self._thread.is_alive():
                return condition()
            # the thread does not wait for this lock: look again in case it could not tell
            progress.wait(min(left, 0.05))
        return True

    def close(self, timeout: float | None) -> None:
        """Deliver what can be delivered in a bounded time, say bye, and end the thread.

        Args:
            timeout: longest wait for acknowledgement, seconds; None for the options' own.
        """
        config = self._config
        if timeout is None:
            timeout = config.exit_wait if self._courier.up else config.away_wait
        until = time.monotonic() + timeout
        if self.flush(timeout) and self._courier.up:
            self._uplink.close(time.monotonic())
            with self._courier.progress:
                self._wait_for(lambda: self._uplink.finished, min(until, time.monotonic() + 1.0))
        self._courier.stopping.set()
        self._courier.waker.wake()
        self._thread.join(config.linger + _JOIN)
        self.queue.close()
        if not self._thread.is_alive():
            self._courier.waker.close()
            if self._spool.broken and self.pending:
                self._mend()
            self._write_rest()
            unspooled = sum(count for _, count, _, spooled in self.intake.ready if not spooled)
            self._lost = self._uplink.window.in_memory_only + unspooled + len(self.queue)
            self._spool.close(remove=self.pending == 0)

    def _mend(self) -> None:
        """Try a last time to write what lies in memory only."""
        with contextlib.suppress(SpoolError):
            self._spool.open()
            self._uplink.window.respool(self._spool.append)

    def _write_rest(self) -> None:
        """Spool what is in the queue; of what finds no room, metrics are declared lost."""
        rest = True
        while rest and not self._spool.broken:
            if self._spool.full:
                self._lose_metrics()
            rest = self.intake.drain(wait=False)

    def _lose_metrics(self) -> None:
        waiting = self.queue.take(len(self.queue), self._config.queue_bytes)
        for item in waiting:
            if item.kind == METRIC:
                self.queue.lose(item.identity, item.kind, "spool full")
        self.queue.put_back([item for item in waiting if item.kind != METRIC])

    @property
    def pending(self) -> int:
        """How many events and loss records are not acknowledged."""
        return self.intake.next - 1 - self._uplink.durable + len(self.queue)

    @property
    def up(self) -> bool:
        """Whether the broker is there."""
        return self._courier.up

    def status(self) -> SenderStatus:
        """Return how far the events are."""
        durable = self._uplink.durable
        acknowledged, waiting = self.intake.split_at(durable)
        return SenderStatus(
            accepted=self.queue.accepted,
            acknowledged=acknowledged,
            spooled=waiting,
            queued=len(self.queue),
            dropped=self.queue.dropped,
            live_dropped=self.queue.live_dropped,
            broker="connected" if self._courier.up else "away",
            spool=str(self._spool.folder),
            url=endpoint_of(self._config).url,
            lost=self._lost,
        )

    def abandon(self) -> None:
        """Close a forked child's copies of descriptors; the parent's are left alone."""
        self._spool.abandon()
        self._courier.waker.close()


def _producer(config: ClientConfig) -> tuple[Producer, Spool]:
    name, token, host = uuid.uuid4().hex, secrets.token_bytes(_TOKEN_BYTES), socket.gethostname()
    meta = SpoolMeta(
        producer=name,
        token=token,
        broker=config.broker,
        journal="" if config.broker else str(journal_dir()),
        host=host,
        pid=os.getpid(),
    )
    spool = Spool(
        spool_dir(), meta, max_bytes=config.spool_bytes, segment_bytes=config.segment_bytes
    )
    return Producer(name, token, host, os.getpid(), str(spool.folder)), spool
