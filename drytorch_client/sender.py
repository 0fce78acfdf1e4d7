"""The sender: what takes a process's events, and gives them to a thread that delivers them.

`emit` validates nothing (the event has), stamps the time, puts the event into a queue and returns.
It waits for no socket, no disk and no device, works in all threads, in signal handlers and in
`__del__`, and raises for what the caller did wrong only: an event that is too large, or holds what
cannot travel.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, Final

from drytorch_client import device_values, process_exit
from drytorch_client.config import ClientConfig
from drytorch_client.errors import ClosedSenderWarning, EventTooLargeError
from drytorch_client.event_queue import METRIC, Item
from drytorch_client.event_size import OBJECTS, PER_METRIC, refuse
from drytorch_client.identity import RunIdentity
from drytorch_client.listeners import Listeners
from drytorch_client.sender_core import SenderCore
from drytorch_client.status import SenderStatus
from drytorch_schemas.envelope import check, encode_fields
from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.events import BatchProgressEvent, Event, MetricEvent, UnknownEvent
from drytorch_schemas.limits import MAX_EVENT_BYTES
from drytorch_schemas.packing import unpack

#: Faster than calling the class.
_make_item: Final = Item._make


class Sender:
    """Takes the events of one process for one broker.

    Attributes:
        config: the client's options.
        delivers: whether events reach trackers in other processes.
    """

    delivers: Final = True

    def __init__(self, config: ClientConfig) -> None:
        """Initialize; the thread starts at once.

        Args:
            config: the client's options, not disabled.
        """
        self.config: Final = config
        self._listeners: Final = Listeners()
        self._starting = threading.RLock()
        self._identity: RunIdentity | None = None
        self._overhead = 0
        self._told_closed = False
        self._told_rest = 0
        self._last = SenderStatus(broker="away")
        self._pid = os.getpid()
        self._core: SenderCore | None = SenderCore(config, self._listeners.tell)
        process_exit.enroll(self)

    # ---- the hot path

    def emit(self, event: Event, identity: RunIdentity, *, again: bool = False) -> None:
        """Report an event.

        After `close` this does nothing but warn once.

        Args:
            event: the event.
            identity: the run that it belongs to.
            again: whether it repeats a run's context for a broker that lost it.

        Raises:
            EventTooLargeError: it is larger than any broker takes.
            EventNotPlainError: it holds something that cannot travel.
            QueueFullError: there is no room, under `on_full='raise'`.
        """
        if self._pid != os.getpid() and not self._renewed():
            return
        if type(event) is MetricEvent and not again:
            metrics = event.metrics
            if identity is not self._identity:
                self._know(identity)
            size = (
                self._overhead
                + PER_METRIC * len(metrics)
                + 4 * (len("".join(metrics)) + len(event.model_name) + len(event.source_name))
            )
            core = self._core
            if size < MAX_EVENT_BYTES and core is not None:
                core.queue.put(_make_item((event, identity, METRIC, time_ns(), size, False)))
                if core.write_through:
                    core.write_now()
                return
        self._emit_other(event, identity, again=again)

    def _put(self, item: Item) -> None:
        core = self._core
        if core is None:
            self._warn_closed()
            return
        core.queue.put(item)
        if core.write_through:
            core.write_now()

    def _know(self, identity: RunIdentity) -> None:
        core = self._core
        self._overhead = OBJECTS + (core.overhead(identity) if core is not None else 0)
        self._identity = identity

    def _emit_other(self, event: Event, identity: RunIdentity, *, again: bool) -> None:
        core = self._core
        if core is None:
            self._warn_closed()
            return
        if identity is not self._identity:
            self._know(identity)
        if getattr(event, "resumed", False) and not again:  # a run's start says so
            core.expect_predecessors()
        now = time_ns()
        if isinstance(event, BatchProgressEvent):
            self._emit_progress(core, event, event, identity)
            return
        kind = event.name if isinstance(event, UnknownEvent) else event.kind
        # encoded here, so that nobody can change what it holds any more
        origin = core.intake.origin_of(identity)
        try:
            data = encode_fields(origin, kind, 0, now, event.to_wire(), again=again)
            check(unpack(data))  # one event that brokers refuse would hold up all that follow
        except (EncodingError, DecodingError) as error:
            refuse(event, kind, error)
        self._put(Item(data, identity, kind, now, len(data) + OBJECTS, again))

    def _emit_progress(
        self, core: SenderCore, event: BatchProgressEvent, payload: Any, identity: RunIdentity
    ) -> None:
        names = len("".join(event.metrics)) + len(event.source_name)
        size = self._overhead + PER_METRIC * len(event.metrics) + 4 * names
        if size >= MAX_EVENT_BYTES:
            raise EventTooLargeError(event.kind, size, MAX_EVENT_BYTES)
        item = Item(payload, identity, event.kind, time_ns(), size)
        if event.final:
            core.queue.forget_live(identity, event.source_name, event.pass_id)
            self._put(item)
        else:
            core.queue.put_live(item, event.source_name, event.pass_id)

    def emit_metrics(
        self,
        kind: type[MetricEvent | BatchProgressEvent],
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any],
        identity: RunIdentity,
    ) -> None:
        """Report metrics of which some may still be on a device; the sender thread reads those.

        Args:
            kind: class of the event.
            fields: its other fields.
            metrics: numbers, or tensors of one element, by name.
            identity: the run that they belong to.

        Raises:
            TypeError: a tensor on a device is not one real number.
            pydantic.ValidationError: a field or a value is of a wrong type.
            EventTooLargeError: as `emit`.
            QueueFullError: as `emit`.
        """
        if not any(map(device_values.on_device, metrics.values())):
            plain = metrics if type(metrics) is dict else dict(metrics)
            self.emit(kind(**fields, metrics=plain), identity)
            return
        if self._pid != os.getpid() and not self._renewed():
            return
        core = self._core
        if core is None:
            self._warn_closed()
            return
        if identity is not self._identity:
            self._know(identity)
        plain, tensors = device_values.split(metrics)
        event = kind(**fields, metrics=plain)
        pending = device_values.PendingEvent(event, tensors)
        if isinstance(event, BatchProgressEvent):
            self._emit_progress(core, event, pending, identity)
        else:
            names = len("".join(plain)) + len(event.model_name) + len(event.source_name)
            size = self._overhead + PER_METRIC * len(plain) + 4 * names
            self._put(Item(pending, identity, METRIC, time_ns(), size))

    # ---- waiting and the end

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was accepted so far is acknowledged.

        Args:
            timeout: longest wait, seconds.

        Returns:
            Whether it is.
        """
        core = self._own_core()
        return core.flush(timeout) if core is not None else not self._last.unacknowledged

    def status(self) -> SenderStatus:
        """Return how far the events are; after `close`, how far they were then."""
        core = self._own_core()
        return core.status() if core is not None else self._last

    @property
    def away(self) -> bool:
        """Whether the broker is not there at the moment."""
        core = self._own_core()
        return core is None or not core.up

    def rest(self) -> int:
        """Return how many events wait for the broker; at exit only what came since is told."""
        self._told_rest = self.status().unacknowledged
        return self._told_rest

    @property
    def untold(self) -> int:
        """How many events wait for the broker, 0 where `rest` has told of all."""
        waiting = self.status().unacknowledged
        return waiting if waiting > self._told_rest else 0

    def close(self, timeout: float | None = None) -> None:
        """Deliver what can be delivered in a bounded time, and stop. Twice does no harm.

        Args:
            timeout: longest wait for acknowledgement, seconds; by default 5, and 2 when the broker
                is known to be away; none where `rest` has told of all that waits.
        """
        if timeout is None and self._told_rest and not self.untold:
            timeout = 0.0  # a run's stop has waited for these already
        with self._starting:
            core = self._own_core()
            if core is None and self._core is not None:
                process_exit.keep_forever(self._core)
            self._core = None
        if core is not None:
            core.close(timeout)
            self._last = core.status()
        process_exit.forget(self)

    def on_new_journal(self, listener: Callable[[], None]) -> None:
        """Call a listener, in the sender thread, whenever the broker has another journal.

        Args:
            listener: emits the context of a run that goes on, with `again=True`.
        """
        self._listeners.append(listener)

    def forget_listener(self, listener: Callable[[], None]) -> None:
        """Call a listener no more; nothing happens where it is unknown."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    # ---- processes

    def _own_core(self) -> SenderCore | None:
        """Return the core of this very process, None where it has none (any more)."""
        return self._core if self._pid == os.getpid() else None

    def _renewed(self) -> bool:
        """Become a producer of its own in a forked child; tell whether that was possible."""
        with self._starting:
            if self._pid == os.getpid():
                return True
            if self._core is None:  # closed before the fork
                self._pid = os.getpid()
                return True
            try:
                core = SenderCore(self.config, self._listeners.tell)
            except (RuntimeError, OSError):  # the interpreter ends, or has no descriptor left
                return False
            process_exit.keep_forever(self._core)
            self._core = core
            self._identity = None
            self._pid = core.pid
        process_exit.enroll(self)
        return True

    def after_fork(self) -> None:
        """Prepare a forked child: its first event makes it a producer of its own."""
        self._starting = threading.RLock()
        if self._core is not None:
            self._core.abandon()

    def _warn_closed(self) -> None:
        if not self._told_closed:
            self._told_closed = True
            warnings.warn(
                ClosedSenderWarning("An event is reported after the end: it goes nowhere."),
                stacklevel=3,
            )
