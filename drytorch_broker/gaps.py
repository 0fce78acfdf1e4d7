"""Which producers have numbers missing, and when to ask for them."""

from __future__ import annotations

from typing import Final

from drytorch_broker.producers import Producer
from drytorch_schemas.control import Nak

#: Most ranges that one producer is asked for at a time.
_MAX_RANGES: Final = 32


class Gaps:
    """The producers whose highest number seen is not appended yet."""

    def __init__(self) -> None:
        """Initialize."""
        self._open: dict[str, Producer] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def note(self, producer: Producer, highest: int) -> None:
        """Note that a number exists, and whether anything up to it is missing.

        Args:
            producer: the producer.
            highest: the number.
        """
        producer.highest = max(producer.highest, highest)
        if producer.highest > producer.appended:
            self._open[producer.id] = producer

    def forget(self, producer: Producer) -> None:
        """Forget a producer."""
        self._open.pop(producer.id, None)

    def naks(self, now: float) -> list[Nak]:
        """Return what to ask for now: new gaps at once, old ones again after a while.

        Args:
            now: the time, seconds.
        """
        naks = []
        for producer in tuple(self._open.values()):
            if producer.highest <= producer.appended:
                self.forget(producer)
                continue
            for first, last in producer.naks(now)[:_MAX_RANGES]:
                naks.append(Nak(producer=producer.id, first=first, last=last))
        return naks
