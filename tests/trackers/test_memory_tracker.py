"""The tracker that tests use."""

from pathlib import Path

from deliveries import deliver, feed, metric, origin, start, stop
from drytorch_schemas.events import MetricEvent
from drytorch_trackers import MemoryTracker


def test_queries(tmp_path: Path) -> None:
    """Deliveries can be asked for by run, by class and by metric, repetitions included."""
    tracker = MemoryTracker()
    one = deliver([start(), metric(1, loss=2), metric(2, loss=1.5), stop()])
    two = deliver([metric(1, loss=9.0, other=1)], origin("b" * 32, producer="q"))
    feed(tracker, [*one, *two, two[0]], tmp_path)
    assert tracker.of_run("b" * 32) == [two[0], two[0]]
    assert [event.epoch for event in tracker.events(MetricEvent)] == [1, 2, 1, 1]
    assert tracker.values("Trainer", "loss", one[0].run) == [2, 1.5]
    assert tracker.values("Trainer", "other") == [1, 1]
    assert tracker.identities()[3:] == [("producer", 4), ("q", 1), ("q", 1)]
    assert (tracker.flushes, tracker.clean_ups) == (1, 2)
