"""Reading what older versions wrote: one named step per kind and version.

A step takes a value as one version wrote it and returns it as the next version writes it. A kind
without a step for a version is the same in the next one. Steps are registered here, in order:

    @EVENTS.step("Metric", 1)
    def metric_gets_a_unit(fields): ...

Version 1 is the first of both formats, so that there are no steps yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from drytorch_schemas.limits import FORMAT_VERSION, SCHEMA_VERSION
from drytorch_schemas.record_stream import Record

T = TypeVar("T")


class Upgrades(Generic[T]):
    """The steps from all older versions of a format to the current one.

    Attributes:
        current: the version that this program writes.
    """

    def __init__(self, current: int) -> None:
        self.current: Final = current
        self._steps: dict[tuple[str, int], Callable[[T], T]] = {}

    def step(self, kind: str, from_version: int) -> Callable[[Callable[[T], T]], Callable[[T], T]]:
        """Return the decorator that registers a step.

        Args:
            kind: the kind of event, or the name of the file format.
            from_version: the version that the step reads; it gives the next one.

        Raises:
            ValueError: there is such a step already, or the version is not an older one.
        """
        if not from_version < self.current or (kind, from_version) in self._steps:
            raise ValueError(f"a second step, or none to take, for {kind} {from_version}")

        def register(function: Callable[[T], T]) -> Callable[[T], T]:
            self._steps[kind, from_version] = function
            return function

        return register

    def apply(self, kind: str, version: int, value: T) -> T:
        """Return a value of an older version as the current one would have written it.

        Args:
            kind: the kind of event, or the name of the file format.
            version: the version that wrote the value; a newer one's is returned as it is.
            value: what was written.
        """
        for number in range(version, self.current):
            step = self._steps.get((kind, number))
            if step is not None:
                value = step(value)
        return value


#: Steps of events: from and to the fields of an event as msgpack gives them.
EVENTS: Upgrades[dict[str, Any]] = Upgrades(SCHEMA_VERSION)
#: Steps of segments and spool files, by format name: from and to a record.
FILES: Upgrades[Record] = Upgrades(FORMAT_VERSION)
