"""Events between `emit` and the sender thread: bounded in bytes, cheap to put, never waiting.

`put` runs in the training loop, in any thread, in signal handlers and in `__del__`. Its lock is
held for a few steps of the interpreter only, never for I/O; being reentrant, a handler that
interrupts them goes through. What is counted inside is counted in single steps that no handler can
split.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from drytorch_client.config import ClientConfig
from drytorch_client.errors import QueueFullError
from drytorch_client.identity import RunIdentity

#: A waiting `put` looks again after so many seconds, should a notification be lost.
_LOOK_AGAIN: Final = 0.05
#: What is more than a bound, for the last words of a run.
_LAST_WORDS: Final = 1 << 20
METRIC: Final = "Metric"
_STOP: Final = "StopExperiment"


class Item(NamedTuple):
    """An event in the queue.

    Attributes:
        payload: the event, an event that waits for a device, or bytes of the envelope.
        identity: the run.
        kind: kind of the event.
        time: nanoseconds since 1970 when it was emitted.
        size: what it counts in the queue, bytes; not less than its encoded size.
        again: whether it repeats a run's context.
    """

    payload: Any
    identity: RunIdentity
    kind: str
    time: int
    size: int
    again: bool = False


class Tally:
    """Counts the lost events of one run and kind.

    Attributes:
        identity: the run.
        kind: kind of the events.
        reason: why they are lost.
        count: how many.
    """

    __slots__ = ("count", "identity", "kind", "reason")

    def __init__(self, identity: RunIdentity, kind: str, reason: str) -> None:
        self.identity = identity
        self.kind = kind
        self.reason = reason
        self.count = 0


class EventQueue:
    """A queue of many producing threads and one consumer at a time.

    Attributes:
        accepted: durable events that were put, with those that were dropped for lack of room.
        refused: those among them that were dropped for lack of room.
        dropped: these, and those that were later found not to be deliverable.
        live_dropped: live events dropped for lack of room.
        taken: durable events that the consumer took.
        consumer: id of the thread that takes events out; it must never wait for room.
        asleep: whether the consumer waits for `wake`.
        closed: whether nobody will take anything more.
    """

    def __init__(self, config: ClientConfig, wake: Callable[[], None]) -> None:
        """Initialize.

        Args:
            config: sizes, and what happens when the queue is full.
            wake: wakes the consumer up, called only while `asleep` is true.
        """
        self.accepted = 0
        self.refused = 0
        self.dropped = 0
        self.live_dropped = 0
        self.taken = 0
        self.consumer = 0
        self.asleep = False
        self.closed = False
        self._config: Final = config
        self._wake: Final = wake
        self._lock: Final = threading.RLock()
        self._space: Final = threading.Condition()
        self._waiting = 0
        self._items: deque[Item] = deque()
        self._live: dict[tuple[str, int, str, int], Item] = {}
        self._tallies: dict[tuple[str, int, str, str], Tally] = {}
        self._lossy = False
        self._size = 0
        self._metric_room: Final = config.queue_bytes - config.reserved_bytes

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """Bytes in the queue."""
        return self._size

    @property
    def empty(self) -> bool:
        """Whether the consumer has nothing to take."""
        return not (self._items or self._live or self._lossy)

    # ---- the producing side

    def put(self, item: Item) -> None:
        """Put a durable event in.

        Args:
            item: the event.

        Raises:
            QueueFullError: there is no room, under `on_full='raise'`.
        """
        with self._lock:
            if self._size + item.size <= self._metric_room:
                self._items.append(item)
                self._size += item.size
                self.accepted += 1
                if not self.asleep:
                    return
                full = False
            else:
                full = not self._put_reserved(item)
        if full:
            self._put_full(item)
        if self.asleep:
            self.rouse()

    def put_live(self, item: Item, source: str, pass_id: int) -> None:
        """Put a live event in the place of an older one of its pass.

        Args:
            item: the event.
            source: name of the source that iterates.
            pass_id: the pass.
        """
        key = (item.identity.run, item.identity.rank, source, pass_id)
        with self._lock:
            if key in self._live or len(self._live) < self._config.live_events:
                self._live[key] = item
            else:
                self.live_dropped += 1
        if self.asleep:
            self.rouse()

    def forget_live(self, identity: RunIdentity, source: str, pass_id: int) -> None:
        """Drop a pass's live event, since its last and durable one follows."""
        with self._lock:
            self._live.pop((identity.run, identity.rank, source, pass_id), None)

    def rouse(self) -> None:
        """Wake the consumer up."""
        self.asleep = False
        self._wake()

    def _put_reserved(self, item: Item) -> bool:
        """Put what is not a metric into the room kept for it; call it with the lock held."""
        room = self._config.queue_bytes + (_LAST_WORDS if item.kind == _STOP else 0)
        if item.kind == METRIC or self._size + item.size > room:
            return False
        self._items.append(item)
        self._size += item.size
        self.accepted += 1
        return True

    def _put_full(self, item: Item) -> None:
        policy = self._config.on_full
        if policy == "raise":
            raise QueueFullError(
                f"The queue of {self._config.queue_bytes} bytes has no room for another "
                f"{item.kind} event: the broker or the disk does not keep up; "
                f"emit less, or choose on_full='drop' or 'block'."
            )
        blocks = policy == "block" and threading.get_ident() != self.consumer
        if blocks and self._wait_and_put(item):
            return
        with self._lock:
            self.accepted += 1
            self.refused += 1
            self.lose(item.identity, item.kind, "queue full")

    def _wait_and_put(self, item: Item) -> bool:
        """Put an event as soon as there is room; False where there never will be."""
        while not self.closed:
            with self._lock:
                alone = not self._items  # an item larger than the queue passes alone
                if alone or self._size + item.size <= self._metric_room:
                    self._items.append(item)
                    self._size += item.size
                    self.accepted += 1
                    return True
                if self._put_reserved(item):
                    return True
            with self._space:
                self._waiting += 1
                self._space.wait(_LOOK_AGAIN)
                self._waiting -= 1
        return False

    def close(self) -> None:
        """Let nobody wait for room any more: nothing will be taken."""
        self.closed = True

    # ---- losses

    def lose(self, identity: RunIdentity, kind: str, reason: str, count: int = 1) -> None:
        """Count events that were accepted and will not be delivered.

        Args:
            identity: their run.
            kind: their kind.
            reason: why they are lost.
            count: how many.
        """
        key = (identity.run, identity.rank, kind, reason)
        with self._lock:
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tallies.setdefault(key, Tally(identity, kind, reason))
            tally.count += count
            self.dropped += count
            self._lossy = True

    def take_losses(self) -> list[Tally]:
        """Take out what was lost since the last call."""
        with self._lock:
            lost, self._tallies = self._tallies, {}
            self._lossy = False
        return list(lost.values())

    # ---- the consuming side

    def take(self, max_events: int, max_bytes: int) -> list[Item]:
        """Take out the oldest durable events; one larger than the bound comes alone.

        Args:
            max_events: most events.
            max_bytes: most bytes of them.
        """
        taken: list[Item] = []
        items, size = self._items, 0
        while items and len(taken) < max_events:
            size += items[0].size
            if size > max_bytes and taken:
                size -= items[0].size
                break
            taken.append(items.popleft())
        with self._lock:
            self._size -= size
            self.taken += len(taken)
        if self._waiting:
            with self._space:
                self._space.notify_all()
        return taken

    def put_back(self, items: list[Item]) -> None:
        """Put events back that were taken but cannot be sent yet.

        Args:
            items: the events, oldest first.
        """
        with self._lock:
            self._items.extendleft(reversed(items))
            self._size += sum(item.size for item in items)
            self.taken -= len(items)

    def take_live(self) -> list[Item]:
        """Take out the latest live event of each pass."""
        with self._lock:
            live, self._live = self._live, {}
        return list(live.values())
