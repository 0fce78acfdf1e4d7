"""The trackers that are subscribed to an experiment."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drytorch_client import scope
from drytorch_client.declarations import Declaration, declare
from drytorch_client.errors import (
    RunWarning,
    TrackerAlreadyRegisteredError,
    TrackerNotUsedError,
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A tracker that is subscribed.

    Attributes:
        declaration: what a worker builds it from.
        tracker: the object that was subscribed; None where it was named by text.
    """

    declaration: Declaration
    tracker: Any = None

    @classmethod
    def of(cls, tracker: Any, name: str = "") -> Subscription:
        """Return the subscription of an object, or of a tracker named by text.

        Args:
            tracker: the object or the name.
            name: under which it is subscribed; the class's name by default.

        Raises:
            ClientError: it cannot be declared, see `declare`.
        """
        declaration = declare(tracker, name)
        return cls(declaration, None if isinstance(tracker, str) else tracker)

    def current(self) -> Declaration:
        """Return the declaration with the object's options as they are now."""
        if self.tracker is None:
            return self.declaration
        return declare(self.tracker, self.declaration.name)


class Subscriptions:
    """What `experiment.trackers` is."""

    def __init__(self, experiment: str, defaults: Mapping[str, Subscription]) -> None:
        """Initialize.

        Args:
            experiment: name of the experiment.
            defaults: the default trackers by name.
        """
        self._experiment = experiment
        self._by_name: dict[str, Subscription] = dict(defaults)

    @property
    def names(self) -> list[str]:
        """The names of the subscribed trackers, in the order of their subscription."""
        return list(self._by_name)

    @property
    def named_trackers(self) -> dict[str, Any]:
        """The subscribed objects by name; the target where a tracker was named by text."""
        return {
            name: each.declaration.target if each.tracker is None else each.tracker
            for name, each in self._by_name.items()
        }

    def subscribe(self, *trackers: Any, **named_trackers: Any) -> None:
        """Subscribe trackers; they work from the next start of a run on.

        Args:
            trackers: objects, short names such as `csv`, `module:Class` or `file.py:Class`.
            named_trackers: the same, under names of your own.

        Raises:
            TrackerAlreadyRegisteredError: a tracker of this name is subscribed already.
            UnknownTrackerError: no tracker has this short name, or its file is not there.
            NotATrackerError: an object is no tracker.
            NotImportableError: a class can be neither loaded by its name nor handed over.
            TrackerArgumentError: an argument cannot be handed to a worker.
        """
        for tracker in trackers:
            self._add(Subscription.of(tracker))
        for name, tracker in named_trackers.items():
            self._add(Subscription.of(tracker, name))
        self._warn_if_late()

    def remove(self, tracker_name: str) -> None:
        """Remove a tracker.

        Args:
            tracker_name: the name under which it is subscribed.

        Raises:
            TrackerNotUsedError: no tracker has this name.
        """
        if self._by_name.pop(tracker_name, None) is None:
            known = ", ".join(self._by_name) or "none"
            raise TrackerNotUsedError(
                f"No tracker named {tracker_name} is subscribed to experiment "
                f"{self._experiment}: subscribed are {known}."
            )
        self._warn_if_late()

    def remove_all(self) -> None:
        """Remove all trackers."""
        self._by_name.clear()
        self._warn_if_late()

    def objects(self) -> list[Any]:
        """Return the objects that were subscribed."""
        return [each.tracker for each in self._by_name.values() if each.tracker is not None]

    def declarations(self) -> list[Declaration]:
        """Return what workers build the trackers from, in the order of subscription."""
        return [each.current() for each in self._by_name.values()]

    def _warn_if_late(self) -> None:
        """Say that the active run's workers stay as they are."""
        run = scope.current_run()
        if run is not None and run.experiment.trackers is self:
            text = (
                f"The trackers of run {run.id} were chosen when it started: this change is for "
                f"the next run; `drytorch track` and `drytorch replay` give this one to another."
            )
            warnings.warn(RunWarning(text), stacklevel=3)

    def _add(self, subscription: Subscription) -> None:
        name = subscription.declaration.name
        if name in self._by_name:
            raise TrackerAlreadyRegisteredError(
                f"A tracker named {name} is subscribed to experiment {self._experiment} already: "
                f"give the new one a name of its own, or remove the old one."
            )
        self._by_name[name] = subscription
