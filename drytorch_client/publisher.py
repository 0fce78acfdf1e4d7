"""One run's way to the sender: identity, context, and what is held back for a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from drytorch_client.identity import RunIdentity
from drytorch_client.senders import AnySender
from drytorch_schemas.events import CONTEXT_KINDS, BatchProgressEvent, Event, MetricEvent


class Publisher:
    """Hands a run's events to the sender of this process.

    Attributes:
        identity: what all events of the run share.
    """

    def __init__(self, sender: AnySender | None, identity: RunIdentity) -> None:
        """Initialize.

        Args:
            sender: the sender; None for a run that reports nothing.
            identity: what all events of the run share.
        """
        self.identity: Final = identity
        self._sender = sender
        self._context: list[Event] = []
        self._held: list[Event] = []

    @property
    def silent(self) -> bool:
        """Whether nothing is reported."""
        return self._sender is None

    def emit(self, event: Event) -> None:
        """Hand an event over, after what was held back.

        Args:
            event: the event.
        """
        if self._sender is None:
            return
        if self._held:
            self.release()
        if event.kind in CONTEXT_KINDS:
            self._context.append(event)
        self._sender.emit(event, self.identity)

    def emit_metrics(
        self,
        kind: type[MetricEvent | BatchProgressEvent],
        fields: Mapping[str, Any],
        metrics: Mapping[str, Any],
    ) -> None:
        """Hand an event with metrics over; tensors on a device are read later, without waiting.

        Args:
            kind: class of the event.
            fields: its other fields.
            metrics: values by name.
        """
        if self._sender is None:
            return
        if self._held:
            self.release()
        self._sender.emit_metrics(kind, fields, metrics, self.identity)

    def hold(self, events: Iterable[Event]) -> None:
        """Keep events until the next one comes, or until it is known that they are not true.

        A loop over epochs that is left does not know whether by `break` or by an error.

        Args:
            events: the events.
        """
        self._held.extend(events)

    def release(self) -> None:
        """Hand over what was held back."""
        held, self._held = self._held, []
        for event in held:
            self.emit(event)

    def drop_held(self) -> None:
        """Forget what was held back."""
        self._held.clear()

    def emit_again(self) -> None:
        """Hand the run's start and registrations over again, for a broker that lost them."""
        if self._sender is not None:
            for event in list(self._context):
                self._sender.emit(event, self.identity, again=True)
