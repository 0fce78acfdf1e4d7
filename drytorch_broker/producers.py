"""What a broker remembers of each producer: how far it is, its secret, and its signs of life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from drytorch_broker.batch import Batch

FIRST_NAK_DELAY: Final = 0.2  # seconds; doubles to the last while a gap stays open
LAST_NAK_DELAY: Final = 2.0


@dataclass(slots=True)
class Producer:
    """State of one producer.

    Attributes:
        id: its id.
        token: its secret; empty where only its records are known.
        host: name of its host.
        pid: its process.
        spool: where it keeps its spool, as it said.
        appended: all numbers up to this one were given to the log.
        durable: all numbers up to this one are durable.
        highest: the highest number that was ever seen; the broker asks for what is missing below.
        held: batches that came too early, by their first number.
        held_bytes: how much they take.
        noted: whether the journal knows token and host.
        seen: when it last gave a sign of life, on the caller's clock.
        heard: whether it said hello since the broker started.
        adopted: whether somebody else delivers what it left.
        closing: the last number it will ever give and the id of its Bye, once it said Bye.
        finished: whether it said Bye and everything is durable.
    """

    id: str
    token: bytes = b""
    host: str = ""
    pid: int = 0
    spool: str = ""
    appended: int = 0
    durable: int = 0
    highest: int = 0
    held: dict[int, Batch] = field(default_factory=dict)
    held_bytes: int = 0
    noted: bool = False
    seen: float = 0.0
    heard: bool = False
    adopted: bool = False
    closing: tuple[int, int] | None = None
    finished: bool = False
    nak_due: float = 0.0
    nak_delay: float = FIRST_NAK_DELAY
    naked: int = 0

    def missing(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of numbers that were seen to exist but are not here."""
        expected = self.appended + 1
        for first in sorted(self.held):
            batch = self.held[first]
            if first > expected:
                yield expected, first - 1
            expected = max(expected, batch.last + 1)
        if expected <= self.highest:
            yield expected, self.highest

    def hold(self, batch: Batch) -> int:
        """Keep a batch for later, and return by how many bytes what is held grew."""
        before = self.held.get(batch.first)
        if before is not None and before.last >= batch.last:
            return 0
        grown = batch.size - (before.size if before is not None else 0)
        self.held[batch.first] = batch
        self.held_bytes += grown
        return grown

    def release(self) -> Batch | None:
        """Take out a held batch whose turn has come; None when the next number is not here."""
        for first in sorted(self.held):
            if first > self.appended + 1:
                return None
            batch = self.held.pop(first)
            self.held_bytes -= batch.size
            if batch.last > self.appended:
                return batch.after(self.appended)
        return None

    def naks(self, now: float) -> list[tuple[int, int]]:
        """Return the ranges to ask for now: new gaps at once, old ones again after a while."""
        if now >= self.nak_due:
            wanted = list(self.missing())
            self.nak_due = now + self.nak_delay
            self.nak_delay = min(2 * self.nak_delay, LAST_NAK_DELAY)
        else:
            wanted = [(max(a, self.naked + 1), b) for a, b in self.missing() if b > self.naked]
        self.naked = self.highest
        return wanted

    def progressed(self, now: float) -> None:
        """Give a resend that is under way the time to arrive."""
        self.nak_delay = FIRST_NAK_DELAY
        self.nak_due = now + FIRST_NAK_DELAY
