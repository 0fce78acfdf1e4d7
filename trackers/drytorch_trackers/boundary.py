"""Where the latest start of a resumed run begins in the journal.

What was emitted before it belongs to an earlier start, and went to that start's workers. Clocks may
jump, so the start's own event decides; times only decide about what comes before that event, such
as what another rank was faster to report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drytorch_schemas.envelope import Envelope
from drytorch_schemas.events import StartExperimentEvent

_NOTES: Final = frozenset({"RunLost", "RunFound"})
#: The start is emitted right after `since` is taken; what lies further off is another start's.
_RIGHT_AFTER: Final = 10_000_000_000  # nanoseconds


@dataclass(slots=True)
class Boundary:
    """The start that a worker was begun for.

    Attributes:
        since: when it was emitted, nanoseconds since 1970, UTC; 0 where the run has one start.
        run_ts: its local time in the event, ISO 8601, by which that is known; empty for `since`.
        met: whether it was met; what follows is never past.
    """

    since: int = 0
    run_ts: str = ""
    met: bool = False

    def __post_init__(self) -> None:
        self.met = self.met or not self.since

    def is_past(self, envelope: Envelope, *, known: bool) -> bool:
        """Tell whether an event belongs to an earlier start.

        Args:
            envelope: the event.
            known: whether its run was met.
        """
        if self.met:
            return False
        if self._is_it(envelope):
            self.met = True
            return False
        # the broker may note the loss of an earlier start only after the next one began
        early_note = envelope.kind in _NOTES and not known
        return envelope.time < self.since or early_note

    def _is_it(self, envelope: Envelope) -> bool:
        event, after = envelope.event, envelope.time - self.since
        if not isinstance(event, StartExperimentEvent):
            return False
        if not self.run_ts:
            return after >= 0
        # DRYTorch gives a resumed run the time of its first start
        same = event.run_ts.isoformat() == self.run_ts
        return same and (envelope.again or 0 <= after < _RIGHT_AFTER)
