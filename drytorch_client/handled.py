"""Waiting until workers have handled what lies in the journal by now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_client.workers.supervisor import LocalWorker
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint

_PERIOD: Final = 0.05
#: Longest wait for one answer, seconds: a broker that needs longer is away or frozen.
_ANSWER: Final = 1.0


def wait_until_handled(endpoint: Endpoint, workers: Iterable[LocalWorker], until: float) -> bool:
    """Wait until workers have handled what is in the journal when this is called.

    A worker that has ended for good is waited for no longer, nor is one whose broker is away.

    Args:
        endpoint: where the broker listens.
        workers: whom to wait for.
        until: monotonic time at which to give up, seconds.

    Returns:
        Whether they have, as far as that can be known.
    """
    waited = list(workers)
    heads: dict[str, int] = {}
    with ControlChannel(endpoint) as channel:
        while waited and (left := until - time.monotonic()) > 0:
            try:
                known = _workers(channel, min(left, _ANSWER))
                waited = [
                    worker
                    for worker in waited
                    if any(not _handled(channel, name, known, heads) for name in _names(worker))
                ]
            except BrokerAwayError:
                return False
            if waited:
                time.sleep(max(min(_PERIOD, until - time.monotonic()), 0.0))
    return not waited


def _names(worker: LocalWorker) -> Iterator[str]:
    """Yield the names under which a worker, or what it was split into, is still at work."""
    if worker.parts:
        for part in worker.parts:
            yield from _names(part)
    elif worker.running:
        yield worker.spec.name


def _workers(channel: ControlChannel, timeout: float) -> dict[str, dict[str, Any]]:
    answer = channel.request(control.Ask(what="workers"), timeout)
    rows = answer.data if isinstance(answer, control.Answer) else []
    return {row["name"]: row for row in rows}


def _handled(
    channel: ControlChannel,
    name: str,
    known: Mapping[str, Mapping[str, Any]],
    heads: dict[str, int],
) -> bool:
    """Tell whether nothing that a worker wants lies between its cursor and the head of then."""
    row = known.get(name)
    if row is None:
        return False  # it is just being started
    cursor = row["cursor"]
    head = heads.setdefault(name, cursor + row["lag"])
    if cursor >= head:
        return True
    # a cursor is moved at leisure where nothing comes that the worker wants
    wanted = [control.Filter.model_validate(each) for each in row["filters"]]
    request = control.Fetch(start=cursor, end=head, filters=wanted, max_records=1)
    answer = channel.request(request, _ANSWER)
    if not isinstance(answer, control.Records):
        return False
    return not answer.records and answer.covered_to >= head
