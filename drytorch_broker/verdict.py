"""What can become of a batch, and what the inlet keeps between two commits."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drytorch_broker.batch import Batch
from drytorch_broker.producers import Producer


class Outcome(enum.Enum):
    """What became of a batch."""

    APPENDED = "appended"
    HELD = "held"
    DUPLICATE = "duplicate"
    DROPPED = "dropped"
    REFUSED = "refused"


class Verdict(NamedTuple):
    """What became of a batch, and why where it was refused.

    Attributes:
        outcome: what became of it.
        reason: a short code of the refusal: `unknown`, `token`, `body`.
        text: details for the log.
    """

    outcome: Outcome
    reason: str = ""
    text: str = ""


APPENDED: Final = Verdict(Outcome.APPENDED)
HELD: Final = Verdict(Outcome.HELD)
DUPLICATE: Final = Verdict(Outcome.DUPLICATE)
DROPPED: Final = Verdict(Outcome.DROPPED)


@dataclass(slots=True)
class Uncommitted:
    """What was given to the log since the last commit.

    Attributes:
        batches: offset of the first envelope, and the batch.
        touched: producers that get an Ack at the next commit.
        noted: producers whose note was appended.
    """

    batches: list[tuple[int, Batch]] = field(default_factory=list)
    touched: dict[str, Producer] = field(default_factory=dict)
    noted: list[Producer] = field(default_factory=list)
