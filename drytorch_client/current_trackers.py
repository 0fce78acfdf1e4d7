"""The trackers of the active run, as `SomeTracker.get_current()` gives them in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drytorch_client import targets
from drytorch_client.declarations import Declaration, full_target


class CurrentTrackers:
    """The trackers of one run: objects that were subscribed, and those made from declarations."""

    _active: CurrentTrackers | None = None

    def __init__(
        self, declarations: Sequence[Declaration], trackers: Sequence[Any], run: Mapping[str, Any]
    ) -> None:
        """Initialize.

        Args:
            declarations: all trackers of the run.
            trackers: the objects among them.
            run: what `Tracker.make_current` takes.
        """
        self._declarations = declarations
        self._trackers = list(trackers)
        self._run = run

    def enter(self) -> None:
        """Make the objects current, and let the others be found."""
        for tracker in self._trackers:
            tracker.make_current(**self._run)
        CurrentTrackers._active = self

    def leave(self) -> None:
        """Undo `enter`."""
        if CurrentTrackers._active is self:
            CurrentTrackers._active = None
        for tracker in self._trackers:
            tracker.reset_current()

    @classmethod
    def declared(cls, wanted: type) -> Any:
        """Return an object of a class that the active run's trackers name by text, None if none.

        Args:
            wanted: the tracker's class.
        """
        active = cls._active
        return None if active is None else active._made(wanted)  # noqa: SLF001 - its own class

    def _made(self, wanted: type) -> Any:
        for each in self._declarations:
            if not each.handed_over and _leads_to(each, wanted):
                tracker = each.build(lambda target: targets.load(full_target(target)))
                tracker.make_current(**self._run)
                self._trackers.append(tracker)
                return tracker
        return None


def _leads_to(declaration: Declaration, wanted: type) -> bool:
    target = full_target(declaration.target)
    if target == f"{wanted.__module__}:{wanted.__qualname__}":
        return True
    if target.rpartition(":")[2] != wanted.__qualname__:
        return False
    try:
        return targets.load(target) is wanted
    except Exception:  # noqa: BLE001 - a module of the user's own may raise anything; a worker says so
        return False
