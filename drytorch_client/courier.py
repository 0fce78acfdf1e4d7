"""The sender thread: queue to spool to broker, every few milliseconds.

It works in few long pieces rather than in many short ones: each time that it lets the interpreter
go, it gets it back only after the training loop had a turn of its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from typing import Final

import zmq

from drytorch_client import messages
from drytorch_client.broker_address import endpoint_of
from drytorch_client.broker_start import BrokerStarter
from drytorch_client.config import ClientConfig
from drytorch_client.errors import SpoolError
from drytorch_client.event_queue import EventQueue
from drytorch_client.intake import Intake
from drytorch_client.orphans import Adopter
from drytorch_client.predecessors import Predecessors
from drytorch_client.spool import Spool
from drytorch_client.uplink import Uplink
from drytorch_client.waker import Waker
from drytorch_client.wire import Wire
from drytorch_schemas.frames import UplinkHeader, array_of
from drytorch_schemas.limits import MAX_BATCH_EVENTS

#: How long nothing must have come until the thread sleeps longer, and until it sleeps deep.
_IDLE_AFTER: Final = 0.1
_DEEP_AFTER: Final = 2.0
_DEEP_SLEEP: Final = 1.0
#: How long a broker may be away until a warning says so; one that is being started may take long.
_WARN_AFTER: Final = 3.0
_WARN_AFTER_START: Final = 15.0
#: How often a broken spool, and the address of a broker that is away, are looked at.
_MEND_EVERY: Final = 0.5
_LOOK_EVERY: Final = 0.5
#: Longest time for what dead producers left, seconds.
_ADOPT: Final = 600.0
#: Batches sent before messages are read again.
_SEND_AT_ONCE: Final = 8


class Courier:
    """What the sender thread does.

    Attributes:
        progress: notified whenever something was taken, acknowledged, or has changed.
        up: whether the broker has welcomed this producer.
        away_since: since when it has not, monotonic seconds.
        predecessors: the spools that go first.
    """

    def __init__(
        self, config: ClientConfig, queue: EventQueue, intake: Intake, spool: Spool, uplink: Uplink
    ) -> None:
        """Initialize; nothing is opened yet.

        Args:
            config: the client's options.
            queue: where events come from.
            intake: numbers and spools them.
            spool: the spool.
            uplink: delivers them.
        """
        self.progress: Final = threading.Condition()
        self.up = False
        self.away_since = time.monotonic()
        self.stopping = threading.Event()
        self.waker: Final = Waker()
        self.predecessors: Final = Predecessors(config.broker, spool.folder)
        self._config: Final = config
        self._queue: Final = queue
        self._intake: Final = intake
        self._spool: Final = spool
        self._uplink: Final = uplink
        self._starter: Final = (
            BrokerStarter() if config.start_broker and not config.broker else None
        )
        self._adopter: Final = Adopter(config.broker) if config.broker else None
        self._wire: Wire | None = None
        self._busy_at = time.monotonic()
        self._mend_due = 0.0
        self._look_due = 0.0
        self._warned: set[str] = set()

    def run(self) -> None:
        """Work until told to stop."""
        self._queue.consumer = threading.get_ident()
        try:
            while not self.stopping.is_set():
                self._turn(time.monotonic())
        except Exception:  # noqa: BLE001  # as the comment says
            # a bug must not end the training; what is emitted from here on is dropped and counted
            messages.warn(
                f"the sender has failed, events are kept no more\n{traceback.format_exc()}"
            )
            self._queue.close()
        finally:
            self._close()

    def _turn(self, now: float) -> None:
        before = self._intake.next, self._uplink.durable, self._queue.taken
        if now >= self._look_due and (self._wire is None or not self._wire.up):
            self._look(now)
        self._receive(now)
        more = self._take(now)
        self._send(now)
        self._watch(now)
        if before != (self._intake.next, self._uplink.durable, self._queue.taken):
            self._busy_at = now
            self.tell()
        if self._wire is not None:
            self._wire.wait(0.0 if more else self._nap(now))
            self.waker.drain()
            self._queue.asleep = False
        else:
            self.stopping.wait(self._config.period)

    def tell(self) -> None:
        """Tell those who wait that something has changed."""
        with self.progress:
            self.progress.notify_all()

    def _nap(self, now: float) -> float:
        quiet = now - self._busy_at
        if quiet < _IDLE_AFTER or self.stopping.is_set():
            return self._config.period
        if quiet < _DEEP_AFTER or not self._uplink.idle or not self._queue.empty:
            return self._config.idle_period
        self._queue.asleep = True
        # what came before `asleep` was set woke nobody
        return 0.0 if not self._queue.empty else _DEEP_SLEEP

    # ---- the connection

    def _look(self, now: float) -> None:
        """Connect; to another address where this user's own broker has come up elsewhere."""
        self._look_due = now + _LOOK_EVERY
        endpoint = endpoint_of(self._config)
        if self._wire is None or self._wire.endpoint != endpoint:
            if self._wire is not None:
                self._wire.close()
                self._wire = None
            with contextlib.suppress(
                zmq.ZMQError
            ):  # no descriptor is left: the next look may find one
                self._wire = Wire(endpoint, self.waker)

    def _receive(self, now: float) -> None:
        if self._wire is None:
            return
        for up in self._wire.presence():
            if up:
                self._uplink.connected(now)
            else:
                self._uplink.disconnected()
        for message in self._wire.messages():
            if getattr(message, "producer", "") in {"", self._uplink.producer.id}:
                self._uplink.on_message(message, now)
        if self._uplink.welcomed != self.up:
            self.up = self._uplink.welcomed
            self.away_since = now
            if self.up and self._starter is not None:
                self._starter.succeeded(now)
            if self.up and self._adopter is not None:
                self._adopter.start(_ADOPT)

    # ---- events

    def _take(self, now: float) -> bool:
        """Take a batch from the queue; tell whether there may be another one."""
        if self._spool.broken and now >= self._mend_due:
            self._mend(now)
        more = False
        if self._uplink.roomy and not self._spool.full:
            more = self._intake.drain() and len(self._queue) > 0
        while self._intake.ready:
            first, count, body, spooled = self._intake.ready.popleft()
            self._uplink.add_batch(first, count, body, spooled=spooled)
        if self._intake.spool_error is not None:
            self._on_spool_error(self._intake.spool_error)
        return more

    def _send(self, now: float) -> None:
        if self._wire is None:
            return
        uplink, producer = self._uplink, self._uplink.producer
        for message in uplink.tick(now):
            self._wire.send_control(message)
        held = uplink.welcomed and self.predecessors.hold(now)
        for _ in range(0 if held else _SEND_AT_ONCE):
            batch = uplink.next_batch()
            if batch is None:
                break
            header = UplinkHeader(False, producer.id, producer.token, batch.first, batch.count)  # noqa: FBT003  # not live
            if not self._wire.send_batch(header, batch.body):
                break
            uplink.sent(batch, now)
        live = self._intake.live()
        if live and uplink.welcomed:
            header = UplinkHeader(True, producer.id, producer.token, 0, len(live))  # noqa: FBT003  # live
            self._wire.send_batch(header, array_of(live[:MAX_BATCH_EVENTS]))

    # ---- trouble

    def _mend(self, now: float) -> None:
        self._mend_due = now + _MEND_EVERY
        try:
            self._spool.open()
            self._uplink.window.respool(self._spool.append)
        except SpoolError as error:
            self._on_spool_error(error)

    def _on_spool_error(self, error: SpoolError) -> None:
        self._intake.spool_error = None
        self._uplink.window.distrust_spool(after=self._spool.survey())
        sentence = str(error).rstrip(".")  # what a system says has no full stop
        self._warn_once("spool", f"{sentence}. Events are kept in memory only.")

    def _watch(self, now: float) -> None:
        """Start a broker where that is ours to do, and warn once where none is there."""
        if self.up:
            return
        away = now - self.away_since
        if self._starter is None:
            if self._uplink.refusal is not None:
                self._warn_once(
                    "broker", f"The broker refuses events: {self._uplink.refusal.text}."
                )
            elif away > _WARN_AFTER:
                self._warn_once("broker", "No broker answers.")
            return
        if self._wire is not None and not self._wire.up:
            self._starter.tick(now)
        if self._starter.failure:
            self._warn_once("broker", f"No broker can be started: {self._starter.failure}")
        elif away > _WARN_AFTER_START:
            self._warn_once("broker", "No broker answers.")

    def _warn_once(self, what: str, text: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            in_memory = what == "spool" or self._spool.broken
            where = "" if in_memory else f" Events are kept in {self._spool.folder}."
            messages.warn(f"{text}{where}")

    # ---- the end

    def _close(self) -> None:
        if self._starter is not None:
            self._starter.close()
        if self._adopter is not None:
            self._adopter.close()
        if self._wire is not None:
            self._wire.close(self._config.linger if self.up else 0.0)
            self._wire = None
        self.up = False
        self.tell()
