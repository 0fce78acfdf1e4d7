"""Looks at everything, whatever state it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from drytorch_schemas.errors import SchemaError
from drytorch_trackers.checkup import broker, broker_log, journal, leftovers, places, software
from drytorch_trackers.checkup.finding import Finding, unseen

_Look = Callable[[], Iterable[Finding]]


def look() -> list[Finding]:
    """Return what is the case on this host, for this user, topic by topic."""
    found: list[Finding] = []
    for topic, each in _LOOKS.items():
        try:
            found += each()
        except (OSError, SchemaError) as error:
            found.append(unseen(topic, error))
    return found


def _broker() -> Iterable[Finding]:
    finding, status = broker.own()
    yield finding
    yield from broker.by_variable()
    yield journal.look(status)
    yield broker_log.look(status)


_LOOKS: Final[Mapping[str, _Look]] = {
    "software": lambda: [software.look()],
    "state": lambda: [places.state(), *places.subfolders()],
    "sockets": lambda: [places.sockets()],
    "broker": _broker,
    "spools": lambda: [leftovers.spools()],
    "workers": lambda: [leftovers.workers()],
}
