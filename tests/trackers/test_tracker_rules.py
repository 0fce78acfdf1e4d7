"""A class that cannot work as a tracker is refused, in a sentence that names class and method."""

import abc
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from drytorch_client.declarations import declare
from drytorch_client.errors import NotATrackerError
from drytorch_schemas import events
from drytorch_trackers import BuiltinLogger, CSVDumper, MemoryTracker, TqdmLogger, Tracker
from drytorch_trackers.methods import METHODS

# Classes that are wrong on purpose:
# mypy: disable-error-code="override"


class Foreign:
    """An event of another library."""


class AsyncNotify(Tracker):
    """Waits for nobody."""

    async def notify(self, event: Any) -> None:
        """Wait."""


class NotifyWithoutEvent(Tracker):
    """Takes no event."""

    def notify(self) -> None:
        """Take nothing."""


class NotifyNoMethod(Tracker):
    """Has something else in place of the method."""

    notify = "text"  # type: ignore[assignment]  # as said


class OnMetricTwo(Tracker):
    """Wants one argument too many."""

    def on_metric(self, event: Any, more: Any) -> None:
        """Take both."""


class OnMetricStatic(Tracker):
    """Forgets that a static method has no self."""

    @staticmethod
    def on_metric(tracker: Any, event: Any) -> None:
        """Take both."""


class OnMetricYields(Tracker):
    """Is a generator, so that nothing happens."""

    def on_metric(self, event: Any) -> Iterator[Any]:
        """Yield."""
        yield event


class AsyncEpoch(Tracker):
    """Waits for nobody."""

    async def on_end_epoch(self, event: Any) -> None:
        """Wait."""


class Misspelt(Tracker):
    """Has a letter too many."""

    def on_metrics(self, event: Any) -> None:
        """Never called."""


class MisspeltChild(Misspelt):
    """Inherits the mistake."""


class CleansWhat(Tracker):
    """Wants to know what to clean up."""

    def clean_up(self, what: Any) -> None:
        """Take it."""


class RegisteredWrong(Tracker):
    """Registers a function that takes no event."""

    @functools.singledispatchmethod
    def notify(self, event: Any) -> None:
        """Do as the base class does."""
        super().notify(event)

    @notify.register(events.MetricEvent)
    def _(self) -> None:
        """Take nothing."""


class RegisteredForeign(Tracker):
    """Registers an event of another library."""

    @functools.singledispatchmethod
    def notify(self, event: Any) -> None:
        """Do as the base class does."""
        super().notify(event)

    @notify.register
    def _(self, event: Foreign) -> None:
        """Never called."""


class WrongKind(Tracker):
    """Names a kind that there is not."""

    kinds = frozenset({"Metrics"})


class KindsText(Tracker):
    """Gives a text where a set belongs."""

    kinds = "Metric"  # type: ignore[assignment]  # as said


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (
            AsyncNotify,
            "AsyncNotify.notify is asynchronous, which nobody would wait for: write `def",
        ),
        (NotifyWithoutEvent, "NotifyWithoutEvent.notify cannot be called with event: write `def n"),
        (NotifyNoMethod, "NotifyNoMethod.notify is str and no method"),
        (OnMetricTwo, "OnMetricTwo.on_metric cannot be called with event: write `def on_metric(se"),
        (OnMetricStatic, "OnMetricStatic.on_metric cannot be called with event"),
        (OnMetricYields, "OnMetricYields.on_metric is a generator, which would never run"),
        (AsyncEpoch, "AsyncEpoch.on_end_epoch is asynchronous"),
        (Misspelt, "Misspelt.on_metrics would never be called: did you mean on_metric?"),
        (MisspeltChild, "MisspeltChild.on_metrics would never be called"),
        (CleansWhat, "CleansWhat.clean_up cannot be called with nothing: write `def clean_up(sel"),
        (RegisteredWrong, "RegisteredWrong.notify cannot be called with event"),
        (RegisteredForeign, "RegisteredForeign.notify is registered for"),
        (WrongKind, "WrongKind.kinds has Metrics, which no event is: did you mean Metric?"),
        (KindsText, "KindsText.kinds is no set of names: write `kinds = frozenset("),
    ],
)
def test_what_cannot_work_is_refused(cls: type[Tracker], said: str) -> None:
    """A mistake in a tracker's class is found when it is subscribed, by name and method."""
    with pytest.raises(NotATrackerError) as caught:
        declare(cls())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


class Abstract(Tracker, abc.ABC):
    """Lacks a method."""

    @abc.abstractmethod
    def _load(self) -> None:
        """Load."""


def test_abstract_classes_lack_a_method() -> None:
    """An abstract class, which can only be named and not made, is refused naming the method."""
    assert Abstract.broken_rule() == "Abstract cannot work as a tracker: it lacks _load."


class Unusual(Tracker):
    """Has unusual but working methods, and some of its own."""

    kinds = frozenset({"Metric", "SomethingOfTheFuture"})

    @staticmethod
    def on_metric(event: Any) -> None:
        """Take the event."""

    @classmethod
    def on_end_epoch(cls, event: Any, *, more: int = 1) -> None:
        """Take the event."""

    def on_custom(self, *anything: Any) -> None:
        """Take anything."""

    def on_fire(self, when: Any, where: Any) -> None:
        """Do something of the user's own."""


PARTIAL: dict[str, Any] = {"on_start_epoch": functools.partialmethod(Tracker.on_start_epoch)}


class DryTorchsWay(Tracker):
    """Registers events, their base class, and whatever a union has."""

    @functools.singledispatchmethod
    def notify(self, event: Any) -> Any:
        """Do as the base class does."""
        return super().notify(event)

    @notify.register
    def _(self, event: events.MetricEvent | events.LossEvent) -> Any:
        return super().notify(event)

    @notify.register
    def _(self, event: events.Event) -> Any:
        return super().notify(event)


@pytest.mark.parametrize(
    "cls",
    [
        *[Tracker, Unusual, type("Partial", (Unusual,), PARTIAL), DryTorchsWay],
        *[BuiltinLogger, CSVDumper, MemoryTracker, TqdmLogger],
    ],
)
def test_what_works_is_taken(cls: type[Tracker]) -> None:
    """Unusual but working classes pass, and so do this distribution's."""
    assert cls.broken_rule() == ""


def test_each_method_is_checked() -> None:
    """Each of the methods that events lead to is checked for its arguments."""
    for name in METHODS.values():
        wrong: Any = type("Wrong", (Tracker,), {name: lambda self: self})
        assert f"Wrong.{name} cannot be called with event" in wrong.broken_rule()
