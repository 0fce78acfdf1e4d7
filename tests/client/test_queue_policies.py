"""The queue between `emit` and the sender thread: bounds, policies, losses."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_client.config import ClientConfig
from drytorch_client.errors import QueueFullError
from drytorch_client.event_queue import EventQueue, Item
from drytorch_client.identity import RunIdentity

RUN = RunIdentity("Exp", "r", "c" * 32, 0, "host")
OTHER = RunIdentity("Exp", "s", "d" * 32, 0, "host")


def item(kind: str = "Metric", size: int = 10, payload: Any = None, run: Any = RUN) -> Item:
    """Return something to put in."""
    return Item(payload, run, kind, 1, size)


def queue_of(size: int = 100, reserved: int = 40, **options: Any) -> EventQueue:
    """Return a small queue that notes in `woken` how often its consumer is woken."""
    return EventQueue(
        ClientConfig(queue_bytes=size, reserved_bytes=reserved, **options), lambda: None
    )


def test_drop_takes_the_newest_metrics_and_keeps_room_for_the_rest() -> None:
    """Metrics stop at the reserve, other events go on into it, and the last word always fits."""
    queue = queue_of()
    for number in range(10):
        queue.put(item(payload=number))
    assert len(queue) == 6
    for _ in range(5):
        queue.put(item("EndEpoch"))
    assert len(queue) == 10
    queue.put(item("StopExperiment"))
    taken = queue.take(100, 10_000)
    assert [each.payload for each in taken[:6]] == [0, 1, 2, 3, 4, 5]
    assert taken[-1].kind == "StopExperiment"
    losses = {(tally.kind, tally.reason): tally.count for tally in queue.take_losses()}
    assert losses == {("Metric", "queue full"): 4, ("EndEpoch", "queue full"): 1}
    assert (queue.accepted, queue.dropped, queue.taken) == (16, 5, 11)
    assert queue.size == 0


def test_raise_refuses_and_counts_nothing() -> None:
    """Under `on_full='raise'` a full queue raises, and the event counts as not accepted."""
    queue = queue_of(on_full="raise")
    for _ in range(6):
        queue.put(item())
    with pytest.raises(QueueFullError, match="no room"):
        queue.put(item())
    assert queue.accepted == 6
    assert queue.take_losses() == []


def test_block_waits_for_room() -> None:
    """Under `on_full='block'` a put waits until the consumer has taken something."""
    queue = queue_of(on_full="block")
    for _ in range(6):
        queue.put(item())
    late = threading.Thread(target=queue.put, args=(item(payload="late"),))
    late.start()
    late.join(0.1)
    assert late.is_alive()
    assert len(queue.take(1, 100)) == 1
    late.join(5)
    assert not late.is_alive()
    assert queue.take(100, 1000)[-1].payload == "late"


def test_block_never_blocks_the_consumer_or_after_the_end() -> None:
    """The consumer itself drops instead of waiting for itself, and so does all after the end."""
    queue = queue_of(on_full="block")
    queue.consumer = threading.get_ident()
    for _ in range(7):
        queue.put(item())
    assert queue.dropped == 1
    queue.consumer = 0
    queue.close()
    queue.put(item())
    assert queue.dropped == 2


def test_block_lets_a_giant_pass_alone() -> None:
    """An event larger than the whole queue goes through an empty queue instead of hanging."""
    queue = queue_of(on_full="block")
    queue.put(item(size=1000))
    assert len(queue.take(10, 10)) == 1


def test_take_is_bounded() -> None:
    """A take ends at its bounds, and gives at least one event."""
    queue = queue_of(size=10_000)
    for size in (10, 10, 50, 500):
        queue.put(item(size=size))
    assert [each.size for each in queue.take(10, 30)] == [10, 10]
    assert [each.size for each in queue.take(10, 30)] == [50]
    assert [each.size for each in queue.take(10, 30)] == [500]
    assert queue.take(10, 30) == []


def test_put_back_keeps_the_order() -> None:
    """Events that are put back come out again first, in their order."""
    queue = queue_of(size=10_000)
    for number in range(5):
        queue.put(item(payload=number))
    taken = queue.take(3, 1000)
    queue.put_back(taken[1:])
    assert [each.payload for each in queue.take(10, 1000)] == [1, 2, 3, 4]
    assert queue.size == 0
    assert queue.taken == 5


def test_live_events_are_coalesced_and_bounded() -> None:
    """Of each pass only the latest progress is kept; passes above the bound are counted."""
    queue = queue_of(live_events=2)
    for number in range(10):
        queue.put_live(item(payload=number), "T", 1)
    queue.put_live(item(payload="other"), "T", 2)
    queue.put_live(item(payload="third"), "T", 3)
    assert queue.live_dropped == 1
    queue.forget_live(RUN, "T", 2)
    assert [each.payload for each in queue.take_live()] == [9]
    assert queue.take_live() == []
    assert queue.accepted == 0


def test_losses_are_told_apart_by_run() -> None:
    """Lost events are counted by run, kind and reason."""
    queue = queue_of()
    queue.lose(RUN, "Metric", "queue full", 3)
    queue.lose(OTHER, "Metric", "queue full")
    queue.lose(RUN, "Metric", "cannot be encoded")
    counted = [(each.identity.run_id, each.reason, each.count) for each in queue.take_losses()]
    assert counted == [
        ("r", "queue full", 3),
        ("s", "queue full", 1),
        ("r", "cannot be encoded", 1),
    ]
    assert queue.empty


def test_sleeping_consumer_is_woken_once() -> None:
    """Only the first event after the consumer fell asleep wakes it."""
    woken: list[int] = []
    queue = EventQueue(ClientConfig(), lambda: woken.append(1))
    queue.put(item())
    assert woken == []
    queue.asleep = True
    queue.put(item())
    queue.put(item())
    queue.put_live(item(), "T", 1)
    assert woken == [1]


@pytest.fixture
def interrupting() -> Iterator[list[Any]]:
    """Run what the list holds again and again in a signal handler, every 100 us."""
    actions: list[Any] = []
    before = signal.signal(signal.SIGALRM, lambda *_: [action() for action in actions])
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    yield actions
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_signal_handlers_and_threads_put_at_once(interrupting: list[Any]) -> None:
    """Handlers that interrupt a put anywhere, and other threads, lose nothing and never hang."""
    queue = queue_of(size=1 << 30)
    handled: list[int] = []

    def handle() -> None:
        if len(handled) < 2000:
            handled.append(1)
            queue.put(item("Custom"))
            queue.put(item(size=1 << 40))

    interrupting.append(handle)

    def put_many() -> None:
        for _ in range(3000):
            queue.put(item())

    threads = [threading.Thread(target=put_many) for _ in range(3)]
    for thread in threads:
        thread.start()
    taken = 0
    until = time.monotonic() + 30
    while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
        for _ in range(100):
            queue.put(item())
            taken -= 1
        taken += len(queue.take(500, 1 << 30))
    interrupting.clear()
    taken += len(queue.take(1 << 30, 1 << 60))
    assert taken == 9000 + len(handled)
    assert queue.size == 0
    assert queue.dropped == len(handled)
    assert queue.accepted - queue.refused == queue.taken


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["Metric", "EndEpoch", "take"]), st.integers(1, 60))))
def test_conservation(steps: list[tuple[str, int]]) -> None:
    """Whatever is put and taken: accepted = taken + waiting + dropped, in the order of puts."""
    queue = queue_of()
    put, out = [], []
    for number, (kind, size) in enumerate(steps):
        if kind == "take":
            out += queue.take(3, size)
            continue
        put.append(number)
        queue.put(item(kind, size, payload=number))
    waiting = len(queue)
    assert queue.accepted == len(put)
    assert queue.size <= 100
    assert len(out) + waiting + queue.dropped == len(put)
    out += queue.take(1000, 1 << 30)
    numbers = [each.payload for each in out]
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(put)
