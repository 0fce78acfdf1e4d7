"""Finding a running broker and asking it something: what `status` and `stop` do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zmq

from drytorch_broker import processes
from drytorch_broker.errors import AddressError, NotRunningError
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint, read_endpoint
from drytorch_schemas.errors import EndpointError, LocationError
from drytorch_schemas.folders import LOCK_FILE
from drytorch_schemas.locks import FileLock

ANSWER_WITHIN: Final = 3.0  # seconds
_POLL: Final = 0.02


@dataclass(frozen=True, slots=True)
class Found:
    """Where a running broker is.

    Attributes:
        url: where it listens.
        lock: its journal's lock; None for one that was given by URL.
        pid: its process; 0 for one that was given by URL.
    """

    url: str
    lock: Path | None
    pid: int = 0


def find(journal: Path, broker: str | None) -> Found | None:
    """Return where a broker is; None where none runs on the journal.

    Args:
        journal: folder of a journal.
        broker: URL that counts instead, where it is given.

    Raises:
        AddressError: the URL is none.
    """
    if broker is not None:
        try:
            return Found(Endpoint.from_url(broker).url, None)
        except EndpointError as error:
            raise AddressError(str(error)) from error
    lock = journal / LOCK_FILE
    try:
        if not FileLock.held_by_other(lock):
            return None
    except (OSError, LocationError):
        return None
    known = read_endpoint(journal)
    return Found(known.url, lock, known.pid) if known else None


def ask(url: str, what: str, name: str = "", within: float = ANSWER_WITHIN) -> Any:
    """Return a broker's answer.

    Args:
        url: where it listens.
        what: as in `control.Ask`.
        name: as there.
        within: how long to wait, seconds.

    Raises:
        NotRunningError: no answer came in time.
    """
    context = zmq.Context()
    try:
        socket = context.socket(zmq.DEALER)
        socket.connect(Endpoint.from_url(url).control)
        request = control.Ask.model_validate({"id": 1, "what": what, "name": name})
        socket.send(control.encode(request))
        end = time.monotonic() + within
        while socket.poll(max(int((end - time.monotonic()) * 1000), 0)):
            answer = control.decode(socket.recv())
            if isinstance(answer, control.Answer):
                return answer.data
    finally:
        context.destroy(linger=0)
    raise NotRunningError(
        f"No broker answers on {url} within {within:g} s: start one with `drytorch-broker start`."
    )


def wait_until_gone(found: Found, within: float) -> bool:
    """Wait until a broker has given its journal's lock back and ended; tell whether it has.

    Args:
        found: where it is.
        within: how long to wait, seconds.
    """
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found.lock is None:
            try:
                ask(found.url, "status", within=0.5)
            except NotRunningError:
                return True
        elif not FileLock.held_by_other(found.lock):
            # what is left to it now is the interpreter's own end
            processes.wait_for_end(found.pid, max(end - time.monotonic(), 0.0))
            return True
        time.sleep(_POLL)
    return False
