"""The broker: whether one runs, answers, and takes events."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any, Final

from drytorch_client.broker_address import local_broker_runs, local_endpoint
from drytorch_client.config import DISABLED, VARIABLE
from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint, read_endpoint
from drytorch_schemas.errors import EndpointError, SchemaError
from drytorch_schemas.folders import journal_dir, state_dir
from drytorch_schemas.locks import FileLock
from drytorch_trackers.checkup.finding import Finding
from drytorch_trackers.wording import plural

_NAMED: Final = "named broker"
#: How long an answer may take, seconds.
TIMEOUT: Final = 3.0
_START_LOCK: Final = "broker-start.lock"


def own() -> tuple[Finding, Mapping[str, Any] | None]:
    """Return how this user's own broker is doing, and what it says of itself."""
    if not local_broker_runs():
        return Finding("broker", _not_running(), facts={"lock_held": False, "answers": False}), None
    endpoint, known = local_endpoint(), read_endpoint(journal_dir())
    status = _status_of(endpoint)
    process = f"process {known.pid}" if known else "a process"
    facts: dict[str, Any] = {"lock_held": True, "url": endpoint.url, "answers": status is not None}
    facts["pid"] = known.pid if known else None
    if status is None:
        problem = (
            f"The broker ({process}) holds the journal's lock and does not answer at "
            f"{endpoint.url}: look into its log, and kill it when it is frozen; nothing that it "
            f"acknowledged is lost."
        )
        return Finding("broker", f"{process} is there, but does not answer", [problem], facts), None
    counts = f"{plural(status.get('producers', 0), 'training')}, "
    counts += plural(status.get("workers", 0), "worker")
    text = f"{_word(status)}, {process}, {endpoint.url}; {counts}"
    return Finding("broker", text, _troubles(status), facts | {"status": status}), status


def _not_running() -> str:
    if FileLock.held_by_other(state_dir() / _START_LOCK):
        return "being started by somebody at the moment"
    return "none runs, a training starts one by itself"


def _word(status: Mapping[str, Any]) -> str:
    return "ready" if status.get("ready") else "NOT ACKNOWLEDGING"


def _troubles(status: Mapping[str, Any]) -> list[str]:
    problems = []
    if not status.get("ready"):
        problems.append(
            f"The broker acknowledges nothing ({status.get('reason')}): make room on the disk of "
            f"{status.get('folder')}, or raise --max-bytes; events wait in the spools."
        )
    ours, its = importlib.metadata.version("drytorch-bus"), status.get("version")
    if its != ours:
        problems.append(
            f"The broker is of version {its}, this command of {ours}: run `drytorch-broker stop`, "
            f"and start another one; a training does so by itself."
        )
    return problems


def by_variable() -> list[Finding]:
    """Return how the broker is doing that the environment names, none where it names none."""
    url = os.environ.get(VARIABLE, "")
    if not url:
        return []
    facts: dict[str, Any] = {"url": url, "answers": False}
    if url == DISABLED:
        return [Finding(_NAMED, "disabled: trainings of this shell report nothing", facts=facts)]
    try:
        endpoint = Endpoint.from_url(url)
    except EndpointError as error:
        return [Finding(_NAMED, url, [f"{VARIABLE}: {error}"], facts)]
    status = _status_of(endpoint)
    if status is None:
        problem = (
            f"No broker answers at {url}, which {VARIABLE} names: start it there, or unset the "
            f"variable; events of trainings wait in their spools."
        )
        return [Finding(_NAMED, f"{url} does not answer", [problem], facts)]
    facts |= {"answers": True, "status": status}
    text = f"{url} is {_word(status)}, on {status.get('host')}"
    return [Finding(_NAMED, text, _troubles(status), facts)]


def _status_of(endpoint: Endpoint) -> Mapping[str, Any] | None:
    if endpoint.folder is not None and not (endpoint.folder / "control.sock").exists():
        return None
    try:
        with ControlChannel(endpoint) as channel:
            answer = channel.request(control.Ask(what="status"), TIMEOUT)
    except (BrokerAwayError, SchemaError):
        return None
    data = answer.data if isinstance(answer, control.Answer) else None
    return data if isinstance(data, dict) else None
