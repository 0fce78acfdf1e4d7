"""Events of users, and what client and broker add."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from drytorch_schemas.events.base import Event, Int, Name


class CustomEvent(Event):
    """An event of the user's own.

    Attributes:
        name: the user's name for it.
        payload: plain data.
    """

    name: Name
    payload: dict[str, Any] = Field(default_factory=dict)


class LossEvent(Event):
    """Events that `emit` accepted and that will never reach the journal.

    Attributes:
        count: how many.
        reason: why, for example `queue full`.
        kinds: how many by kind.
    """

    count: Int
    reason: str
    kinds: dict[str, Int] = Field(default_factory=dict)


class RunLostEvent(Event):
    """The broker's note: the run's producer is gone without a word.

    Attributes:
        producer: id of the producer that is gone.
        reason: how the broker knows.
    """

    producer: str
    reason: str


class RunFoundEvent(Event):
    """The broker's note: a run that was said to be lost is back.

    Attributes:
        producer: id of the producer that is back.
    """

    producer: str
