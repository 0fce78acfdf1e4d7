"""Trackers that share a local worker, and how one goes on in a worker of its own.

A tracker that disturbs the others is parted from them: one that stopped with errors at once, all of
them when their process died twice. A tracker goes on where the shared worker's cursor is. It is on
the owed list, and its cursor with the broker, before the shared worker forgets it: whatever dies in
between, no event is passed over, and what is handled twice changes no file.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final, Protocol

from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers import owed
from drytorch_client.workers.plan import alone
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.errors import SchemaError

log = logging.getLogger("drytorch_worker")

#: Starts that ended badly after which trackers share no worker any more.
DEATHS: Final = 2


class Cursors(Protocol):
    """Where cursors are kept."""

    def hand_on(self, worker: str, tracker: str, cursor: int) -> None:
        """Leave a cursor to another worker, unless it has one."""


class Sharing:
    """The trackers of a worker as its place on the owed list says.

    Attributes:
        spec: the worker, with the trackers that it still has.
        possible: whether its trackers can go on apart.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.possible: Final = spec.splits and bool(spec.owed)
        self._starts = 0

    def begin(self) -> bool:
        """Note a start; tell whether so many ended badly that the trackers should go on apart."""
        if not self.possible:
            return False
        try:
            listed = owed.read(Path(self.spec.owed))
            if listed.starts < DEATHS:
                self._starts = listed.starts + 1
                owed.put(self.spec, listed.stopped, self._starts)
        except (OSError, SchemaError, WorkerSpecError):
            log.exception("the owed list cannot be used")
            return False
        return listed.starts >= DEATHS

    def end(self) -> None:
        """Note an orderly end after which the worker is still owed."""
        if self.possible and Path(self.spec.owed).exists():
            self._list(self.spec)

    def part(self, cursors: Cursors, name: str, cursor: int, stopped: str = "") -> None:
        """Let a tracker go on in a worker of its own.

        Args:
            cursors: where the cursors are kept.
            name: the tracker's name.
            cursor: where it goes on.
            stopped: why only `drytorch sync` should start it; empty where anybody may.

        Raises:
            SourceAwayError: the cursor cannot be kept at the moment.
        """
        mine = [each for each in self.spec.declarations if each.name == name]
        for each in mine:
            own = alone(self.spec, each)
            cursors.hand_on(own.name, name, cursor)
            self._list(own, stopped)
            log.info("%s goes on as %s.", name, own.name)
        rest = [each for each in self.spec.declarations if each not in mine]
        self.spec = self.spec.model_copy(update={"declarations": rest})
        if rest:
            self._list(self.spec, starts=self._starts)

    def _list(self, spec: WorkerSpec, stopped: str = "", starts: int = 0) -> None:
        try:
            owed.put(spec, stopped, starts)
        except (OSError, SchemaError):
            log.exception("the owed list cannot be written")
