"""Runs that report into memory, for the tests of those who use this package.

While an `InMemory` is active, every run of this process reports to its sender: no thread, no
process, no socket and no file. Events are encoded and decoded as on their way to a broker, so that
what would be refused there is refused here, in the same line.
"""

from __future__ import annotations

import contextlib
import copy
import pathlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from time import time_ns
from typing import Any, ClassVar, Final

from drytorch_client import device_values
from drytorch_client.event_size import refuse
from drytorch_client.identity import RunIdentity
from drytorch_client.registry import RunRegistry
from drytorch_client.run_lock import RunLock
from drytorch_client.status import SenderStatus
from drytorch_schemas.envelope import Envelope, decode, encode_fields
from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.events import BatchProgressEvent, Event, MetricEvent, UnknownEvent


class MemorySender:
    """Takes events as a `Sender` does, and keeps them.

    Attributes:
        delivers: whether events reach trackers in other processes.
        envelopes: what was reported, live events included, in order.
        away: whether no broker is there; it never is.
    """

    delivers: Final = False
    away: Final = False

    def __init__(self) -> None:
        """Initialize."""
        self.envelopes: list[Envelope] = []
        self._producer: Final = uuid.uuid4().hex
        self._seq = 0
        self._lock = threading.RLock()

    def emit(self, event: Event, identity: RunIdentity, *, again: bool = False) -> None:
        """Keep an event.

        Args:
            event: the event.
            identity: the run that it belongs to.
            again: whether it repeats a run's context.

        Raises:
            EventTooLargeError: it is larger than any broker takes.
            EventNotPlainError: it holds something that cannot travel.
        """
        kind = event.name if isinstance(event, UnknownEvent) else event.kind
        origin = identity.origin(self._producer)
        with self._lock:
            seq = 0 if event.live else self._seq + 1
            try:
                data = encode_fields(origin, kind, seq, time_ns(), event.to_wire(), again=again)
                self.envelopes.append(decode(data))
            except (EncodingError, DecodingError) as error:
                refuse(event, kind, error)
            self._seq = max(self._seq, seq)

    def emit_metrics(
        self,
        kind: type[MetricEvent | BatchProgressEvent],
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any],
        identity: RunIdentity,
    ) -> None:
        """Keep an event with metrics; values on a device are read at once.

        Args:
            kind: class of the event.
            fields: its other fields.
            metrics: numbers, or tensors of one element, by name.
            identity: the run that they belong to.

        Raises:
            TypeError: a tensor on a device is not one real number.
            pydantic.ValidationError: a field or a value is of a wrong type.
            EventTooLargeError: as `emit`.
        """
        plain, tensors = device_values.split(metrics)
        known = plain | {name: tensor.item() for name, tensor in tensors.items()}
        self.emit(kind(**fields, metrics=known), identity)

    def status(self) -> SenderStatus:
        """Return how many events there are: all are where they belong."""
        return SenderStatus(accepted=self._seq, acknowledged=self._seq, broker="connected")

    def rest(self) -> int:
        """Return how many events wait for a broker."""
        return 0

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - nothing is ever waited for
        """Say that all is there."""
        return True

    def on_new_journal(self, listener: Callable[[], None]) -> None:
        """Do nothing: there is one journal only."""

    def forget_listener(self, listener: Callable[[], None]) -> None:
        """Do nothing, as `on_new_journal`."""


class MemoryRegistry(RunRegistry):
    """A registry of runs without a file."""

    def __init__(self, par_dir: pathlib.Path, experiment: str) -> None:
        """Initialize.

        Args:
            par_dir: the experiment's parent folder.
            experiment: name of the experiment.
        """
        super().__init__(par_dir, experiment)
        self._entries: list[dict[str, Any]] = []
        self._uuids: dict[str, str] = {}

    def load(self) -> list[dict[str, Any]]:
        """Return the entries, oldest first."""
        return copy.deepcopy(self._entries)

    def lock_of(self, run_id: str) -> RunLock | None:  # noqa: ARG002 - as the base class has it
        """Return no lock: these runs end with their test."""
        return None

    def run_uuid(self, run_id: str, *, resumed: bool) -> str:
        """Return the run's UUID.

        Args:
            run_id: the run.
            resumed: whether the run goes on under the UUID that it has, if it has one.
        """
        if not resumed or run_id not in self._uuids:
            self._uuids[run_id] = uuid.uuid4().hex
        return self._uuids[run_id]

    def known_uuid(self, run_id: str) -> str | None:
        """Return the UUID that a run has, None where it has none.

        Args:
            run_id: the run.
        """
        return self._uuids.get(run_id)

    def _commit(self) -> str | None:
        return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        yield

    def _write(self, entries: list[dict[str, Any]]) -> None:
        self._entries = copy.deepcopy(entries)


class InMemory:
    """What the runs of this process report to, and are recorded in, while it is active.

    Attributes:
        sender: keeps the events.
        folder: parent folder of experiments that are given none: for checkpoints.
    """

    _active: ClassVar[InMemory | None] = None

    def __init__(self, folder: pathlib.Path) -> None:
        """Initialize.

        Args:
            folder: parent folder of experiments that are given none.
        """
        self.sender: Final = MemorySender()
        self.folder: Final = folder
        self._registries: dict[tuple[pathlib.Path, str], MemoryRegistry] = {}

    @classmethod
    def active(cls) -> InMemory | None:
        """Return the active one, None where runs report as usual."""
        return cls._active

    @contextlib.contextmanager
    def activated(self) -> Iterator[None]:
        """Be the active one within `with`."""
        before, InMemory._active = InMemory._active, self
        try:
            yield
        finally:
            InMemory._active = before

    def registry(self, par_dir: pathlib.Path, experiment: str) -> MemoryRegistry:
        """Return the registry of an experiment's runs.

        Args:
            par_dir: the experiment's parent folder.
            experiment: name of the experiment.
        """
        key = par_dir, experiment
        return self._registries.setdefault(key, MemoryRegistry(par_dir, experiment))
