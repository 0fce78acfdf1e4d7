"""The base class: dispatch, arguments, the current object, cleaning up."""

import functools
from pathlib import Path
from typing import Any

import pytest

import drytorch_trackers
from deliveries import deliver, metric, origin, start, stop
from drytorch_client.errors import ClientError
from drytorch_schemas import events
from drytorch_trackers import Delivery, Tracker, TrackerContext, TrackerNotUsedError
from drytorch_trackers.base import METHODS


def example(event_class: type[events.Event]) -> events.Event:
    """Make an event without its fields: dispatch looks at the class alone."""
    return event_class.model_construct()


def test_every_event_has_a_method() -> None:
    """Each kind of event leads to a method of the base class, and no method is left over."""
    methods = {name for name in vars(Tracker) if name.startswith("on_")}
    assert set(METHODS) == set(events.event_classes())
    assert set(METHODS.values()) == methods


@pytest.mark.parametrize("kind", sorted(events.event_classes()))
def test_each_event_calls_its_own_method(kind: str) -> None:
    """An event calls the method that is named after its class, and no other."""
    called = []

    class Recording(Tracker):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_"):
                called.append(name)
            return super().__getattribute__(name)

    Recording().notify(example(events.event_classes()[kind]))
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in kind)
    assert called == [f"on{words}"]


def test_dispatch_by_type_works() -> None:
    """A subclass may override `notify` with singledispatchmethod and call the base class."""
    seen = []

    class ByType(Tracker):
        @functools.singledispatchmethod
        def notify(self, event: events.Event) -> None:
            super().notify(event)

        @notify.register
        def _(self, event: events.MetricEvent) -> None:
            seen.append(event.epoch)
            super().notify(event)

        def on_metric(self, event: events.MetricEvent) -> None:
            seen.append(-event.epoch)

    tracker = ByType()
    for delivery in deliver([start(), metric(3, loss=1.0), stop()]):
        tracker.handle(delivery)
    assert seen == [3, -3]


def test_delivery_is_at_hand() -> None:
    """While a method runs, the delivery and the run's UUID are the event's."""
    seen = []

    class Looking(Tracker):
        def on_metric(self, event: events.MetricEvent) -> None:
            seen.append((self.run, self.delivery.offset, self.delivery.event is event))

    tracker = Looking()
    for run in "ab":
        tracker.handle(deliver([metric(1, loss=1.0)], origin(run * 32), first=7)[0])
    assert seen == [("a" * 32, 7, True), ("b" * 32, 7, True)]


def test_arguments_are_kept() -> None:
    """The constructor's arguments are kept, also where it does not call the base class's."""

    class Own(Tracker):
        def __init__(self, first: int, *, second: str = "x") -> None:
            self.first, self.second = first, second

    assert Own(1, second="y").declared() == ((1,), {"second": "y"})


def test_current_is_per_class() -> None:
    """`get_current` gives the started object of that very class until its run stops."""

    class Parent(Tracker):
        pass

    class Child(Parent):
        pass

    parent, (started, stopped) = Parent(), deliver([start(), stop()])
    parent.handle(started)
    assert Parent.get_current() is parent
    for other in (Child, Tracker):
        with pytest.raises(TrackerNotUsedError, match=f"No {other.__name__} is subscribed"):
            other.get_current()
    parent.handle(stopped)
    with pytest.raises(ClientError):
        Parent.get_current()


def test_a_tracker_without_content_is_current_too() -> None:
    """An object that counts as false is what `get_current` returns like any other."""

    class Empty(Tracker):
        def __len__(self) -> int:
            return 0

    tracker = Empty()
    tracker.make_current()
    try:
        assert Empty.get_current() is tracker
    finally:
        tracker.reset_current()


def test_current_knows_its_run(tmp_path: Path) -> None:
    """The training process makes an object current with what it knows of the run."""
    tracker = Tracker()
    facts = {"experiment": "Exp", "run_id": "1", "run": "a" * 32, "par_dir": tmp_path}
    tracker.make_current(**facts)
    try:
        assert Tracker.get_current() is tracker
        assert tracker.current is not None
        assert tracker.current.par_dir == tmp_path
    finally:
        tracker.reset_current()


def test_cleaned_up_after_the_last_run() -> None:
    """Of two runs at once only the one that stops last cleans up."""
    cleaned = []

    class Closing(Tracker):
        def clean_up(self) -> None:
            cleaned.append(self.run)

    tracker = Closing()
    runs = [origin("a" * 32), origin("b" * 32)]
    for event in (start(), stop()):
        for run in runs:
            tracker.handle(deliver([event], run)[0])
    assert cleaned == ["b" * 32]


def test_cleaned_up_once_after_each_event() -> None:
    """A worker that leaves cleans up, but not where the run's stop was the last that it handled."""
    cleaned = []

    class Closing(Tracker):
        def clean_up(self) -> None:
            cleaned.append(self.run)

    tracker = Closing()
    tracker.clean_up_once()
    assert len(cleaned) == 1
    for delivery in deliver([start(), metric(1, loss=1.0), stop()]):
        tracker.handle(delivery)
    assert len(cleaned) == 2
    tracker.clean_up_once()
    assert len(cleaned) == 2
    tracker.handle(deliver([metric(2, loss=1.0)])[0])
    tracker.clean_up_once()
    assert len(cleaned) == 3


def test_table_of_contents() -> None:
    """Everything that the package says it exports can be imported and is listed."""
    for name in drytorch_trackers.__all__:
        assert getattr(drytorch_trackers, name).__name__ == name
        assert name in dir(drytorch_trackers)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        drytorch_trackers.Nothing  # noqa: B018 - the access is the test


def test_setup_keeps_the_context(tmp_path: Path) -> None:
    """After `setup` a tracker knows where it may write."""
    tracker = Tracker()
    tracker.setup(TrackerContext(tmp_path, "worker", terminal=True))
    assert tracker.context == TrackerContext(tmp_path, "worker", terminal=True)
    assert isinstance(deliver([start()])[0], Delivery)
