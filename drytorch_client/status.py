"""How far the events of this process are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """Counts of durable events, and whether the broker is there.

    `accepted = acknowledged + spooled + queued + dropped`, but for those that are counted at
    the very moment.

    Attributes:
        accepted: events that `emit` took.
        acknowledged: events that the broker has on disk.
        spooled: events that wait for its acknowledgement, in the spool or, without one, in memory.
        queued: events that the sender has not taken yet.
        dropped: events that are lost, for lack of room for example; each is declared in the
            journal.
        live_dropped: progress events dropped for lack of room.
        broker: `connected`, `away` or `disabled`.
        spool: folder of the spool, empty without one.
        url: where the broker listens, empty without one.
        lost: events that neither broker nor disk had taken when the process ended.
    """

    accepted: int = 0
    acknowledged: int = 0
    spooled: int = 0
    queued: int = 0
    dropped: int = 0
    live_dropped: int = 0
    broker: Literal["connected", "away", "disabled"] = "disabled"
    spool: str = ""
    url: str = ""
    lost: int = 0

    @property
    def unacknowledged(self) -> int:
        """Events that wait for the broker."""
        return self.spooled + self.queued
