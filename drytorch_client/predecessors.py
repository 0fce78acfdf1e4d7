"""What dead processes of a resumed run left: it is delivered before what follows it.

Order between producers is nobody's promise, but who resumes a run that was killed wants its last
epochs to lie before those of the new process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drytorch_schemas import spool_files
from drytorch_schemas.folders import journal_dir, spool_dir
from drytorch_schemas.processes import is_running

#: Longest wait once the broker is there, seconds.
_AT_MOST: Final = 15.0
_LOOK_EVERY: Final = 0.05


class Predecessors:
    """The spools that go first."""

    def __init__(self, broker: str, own: Path) -> None:
        """Initialize.

        Args:
            broker: URL of the broker, empty for the user's own.
            own: the spool of this process.
        """
        self._broker: Final = broker
        self._own: Final = own
        self._left: list[Path] = []
        self._until = 0.0
        self._look_due = 0.0

    def expect(self) -> None:
        """Let the spools of dead processes for the same broker go first."""
        journal = "" if self._broker else str(journal_dir())
        self._until, self._look_due = 0.0, 0.0
        self._left = [
            folder
            for folder, meta in spool_files.readable_spools(spool_dir())
            if (meta.broker, meta.journal) == (self._broker, journal)
            and folder != self._own
            and _is_dead(folder, meta.pid)
        ]

    def hold(self, now: float) -> bool:
        """Tell whether they still go first; call it while the broker is there.

        Args:
            now: the time, monotonic seconds.
        """
        if not self._left:
            return False
        if now >= self._look_due:
            self._look_due = now + _LOOK_EVERY
            self._until = self._until or now + _AT_MOST
            self._left = [each for each in self._left if each.exists()]
            if now >= self._until:
                self._left = []
        return bool(self._left)


def _is_dead(folder: Path, pid: int) -> bool:
    """Tell whether a spool's owner is dead; the lock may be held by who delivers it."""
    return spool_files.is_orphan(folder) or not is_running(pid)
