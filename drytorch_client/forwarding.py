"""A run that another library drives: its events come from there, the rest is as in any run."""

from __future__ import annotations

import pathlib
import socket
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from drytorch_client import messages, ranks
from drytorch_client.config import ClientConfig
from drytorch_client.errors import RegistryError
from drytorch_client.handed_over import with_handed_over
from drytorch_client.identity import RunIdentity
from drytorch_client.registry import RunRegistry
from drytorch_client.session import Plan, Session
from drytorch_client.subscriptions import Subscriptions
from drytorch_schemas.events import (
    BatchProgressEvent,
    Event,
    MetricEvent,
    StartExperimentEvent,
    Status,
)

#: Parent folder, experiment and key of a run.
_Place = tuple[pathlib.Path, str, str]
#: UUIDs of runs that no registry keeps, for as long as the process lives.
_UNRECORDED: Final[dict[_Place, str]] = {}
#: What this process forwards at the moment.
_ACTIVE: Final[set[_Place]] = set()


class ForwardedRun:
    """Reports the events of a run that another library started.

    The library's own registry of runs is left alone; only the run's UUID is kept beside it.

    Attributes:
        identity: names, UUID, rank and host.
    """

    def __init__(
        self,
        start: StartExperimentEvent,
        *,
        config: ClientConfig,
        par_dir: pathlib.Path | None = None,
        record: bool = True,
        finish_passes: Callable[[], None] = lambda: None,
    ) -> None:
        """Initialize.

        Args:
            start: the run's start, its `par_dir` absolute.
            config: options of the client.
            par_dir: folder that the trackers write under, absolute; the experiment's by default.
            record: whether the run may be resumed by another process, so that its UUID is kept.
            finish_passes: reports the end of passes that were left unfinished.
        """
        self._start: Final = start
        self._place = _free_place(start)
        run = _run_uuid(self._place, resumed=start.resumed, kept=record and not config.disabled)
        self.identity: Final = RunIdentity(
            start.exp_name, start.run_id, run, ranks.current_rank(), socket.gethostname()
        )
        plan = Plan(
            identity=self.identity,
            par_dir=par_dir or start.par_dir,
            registry=None,
            config=config,
            silent=config.disabled,
            resumed=start.resumed,
        )
        self._session = Session(plan, finish_passes)

    def start(self, trackers: Subscriptions) -> None:
        """Report the run's start, and start its workers.

        Args:
            trackers: the subscribed trackers; those that `drytorch run -t` names are added.

        Raises:
            ClientError: a tracker cannot be declared any more.
            OSError: a worker cannot be started.
        """
        _ACTIVE.add(self._place)
        declarations = with_handed_over(trackers.declarations())
        self._session.start(self._start, declarations, trackers.objects())

    def emit(self, event: Event) -> None:
        """Report an event.

        Args:
            event: the event.

        Raises:
            EventTooLargeError: its encoded form is larger than any broker takes.
            EventNotPlainError: it holds something that cannot travel.
            QueueFullError: there is no room, under `on_full='raise'`.
        """
        self._session.publisher.emit(event)

    def emit_metrics(
        self,
        kind: type[MetricEvent | BatchProgressEvent],
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any],
    ) -> None:
        """Report an event with metrics; tensors on a device are read later, without waiting.

        Args:
            kind: class of the event.
            fields: its other fields.
            metrics: numbers, or tensors of one element, by name.

        Raises:
            pydantic.ValidationError: a value is of a wrong type.
            EventTooLargeError: as `emit`.
            QueueFullError: as `emit`.
        """
        self._session.publisher.emit_metrics(kind, fields, metrics)

    def stop(self, status: Status) -> None:
        """Report the run's end, and wait a bounded time until it is handled. Twice does no harm.

        Args:
            status: how the run ended.
        """
        _ACTIVE.discard(self._place)
        self._session.stop(status)


def _free_place(start: StartExperimentEvent) -> _Place:
    """Return where the run's UUID is kept; another place where it is being forwarded already.

    One run that is forwarded twice is two runs here, each with events and artefacts of its own.
    """
    place = start.par_dir, start.exp_name, start.run_id
    number = 1
    while place in _ACTIVE:
        number += 1
        # no run's id has a colon
        place = start.par_dir, start.exp_name, f"{start.run_id}:{number}"
    return place


def _run_uuid(place: _Place, *, resumed: bool, kept: bool) -> str:
    """Return the run's UUID: that of the run it continues, where that is known, or a new one."""
    par_dir, experiment, key = place
    if resumed and place in _UNRECORDED:
        return _UNRECORDED[place]
    if kept:
        try:
            return RunRegistry(par_dir, experiment).run_uuid(key, resumed=resumed)
        except RegistryError as error:
            messages.warn(str(error))
    _UNRECORDED[place] = uuid.uuid4().hex
    return _UNRECORDED[place]
