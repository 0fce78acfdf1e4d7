"""The part of a run that models, actors and passes report to."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from drytorch_client.epoch import Batches
from drytorch_client.errors import InactiveRunError
from drytorch_client.identity import RunIdentity
from drytorch_client.run_folder import run_folder
from drytorch_client.session import Session
from drytorch_schemas.events import BatchProgressEvent, Event, MetricEvent, Status


class Reporting:
    """Hands events to the run's session while the run is active.

    Attributes:
        identity: names, UUID, rank and host.
        is_secondary: whether this is not the process of rank 0.
    """

    def __init__(self, identity: RunIdentity, par_dir: pathlib.Path) -> None:
        """Initialize.

        Args:
            identity: names, UUID, rank and host.
            par_dir: the experiment's parent folder.
        """
        self.identity: Final = identity
        self.is_secondary: Final = identity.rank > 0
        self._par_dir = par_dir
        self._status: Status = "created"
        self._session: Session | None = None
        self._open_passes: list[Batches[Any]] = []

    @property
    def id(self) -> str:
        """Identifier of the run."""
        return self.identity.run_id

    @property
    def experiment_name(self) -> str:
        """Name of the experiment."""
        return self.identity.experiment

    @property
    def state(self) -> Status:
        """`created`, `running`, `completed` or `failed`."""
        return self._status

    def is_active(self) -> bool:
        """Tell whether the run is running."""
        return self._status == "running"

    def emit(self, event: Event) -> None:
        """Report any event.

        Args:
            event: the event.

        Raises:
            EventTooLargeError: its encoded form is larger than any broker takes.
            InactiveRunError: the run is not active.
        """
        session = self._session
        if session is None or self._status != "running":
            session = self._active_session()
        session.publisher.emit(event)

    def emit_metrics(
        self,
        kind: type[MetricEvent | BatchProgressEvent],
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any],
    ) -> None:
        """Report an event that carries metrics, some of which may be tensors on a device.

        Args:
            kind: class of the event.
            fields: its other fields.
            metrics: numbers, or tensors of one element, by name.

        Raises:
            pydantic.ValidationError: a value is of a wrong type.
            InactiveRunError: the run is not active.
        """
        session = self._session
        if session is None or self._status != "running":
            session = self._active_session()
        session.publisher.emit_metrics(kind, fields, metrics)

    def folder(self, name: str) -> pathlib.Path:
        """Return this run's folder of a kind.

        Args:
            name: the kind, for example `checkpoints`.
        """
        return run_folder(self._par_dir, name, self.experiment_name, self.id)

    def require_active(self) -> None:
        """Refuse to go on where the run is not active.

        Raises:
            InactiveRunError: it is not.
        """
        self._active_session()

    def hold(self, events: Sequence[Event]) -> None:
        """Report events as soon as it is clear that no error ended the loop they come from.

        Args:
            events: the events.
        """
        if self._session is not None and self._status == "running":
            self._session.publisher.hold(events)

    def open_pass(self, batches: Batches[Any]) -> None:
        """Remember a pass that began.

        Args:
            batches: the pass.
        """
        self._open_passes.append(batches)

    def close_pass(self, batches: Batches[Any]) -> None:
        """Forget a pass that ended.

        Args:
            batches: the pass.
        """
        if batches in self._open_passes:
            self._open_passes.remove(batches)

    def _finish_passes(self) -> None:
        for batches in list(self._open_passes):
            batches.finish()

    def _active_session(self) -> Session:
        session = self._require_session()
        if self._status != "running":
            raise InactiveRunError(f"Run {self.id} is over: report within its `with` statement.")
        return session

    def _require_session(self) -> Session:
        if self._session is None:
            raise InactiveRunError(f"Run {self.id} was not started: use it in a `with` statement.")
        return self._session
