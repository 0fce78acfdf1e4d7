"""From DRYTorch's events to ours: the same names, the same fields, plain values."""

from __future__ import annotations

import dataclasses
import operator
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from drytorch_client.long_text import MAX_ARCHITECTURE, without_middle
from drytorch_client.represent import represent
from drytorch_schemas import events
from drytorch_trackers.dry_represent import DryRepresentation

#: DRYTorch's events by the name of their class.
_CLASSES: Final[Mapping[str, type[events.Event]]] = {
    cls.__name__: cls
    for cls in (
        events.ModelRegistrationEvent,
        events.ActorRegistrationEvent,
        events.StartTrainingEvent,
        events.EndTrainingEvent,
        events.TerminatedTrainingEvent,
        events.StartEpochEvent,
        events.EndEpochEvent,
        events.StartTestEvent,
        events.EndTestEvent,
        events.LearningRateEvent,
        events.SaveModelEvent,
        events.LoadModelEvent,
    )
}


def translate_start(event: Any, config: Any) -> events.StartExperimentEvent:
    """Return our event for the start of a run.

    Args:
        event: DRYTorch's event.
        config: its configuration as plain data.

    Raises:
        pydantic.ValidationError: a field is of a wrong type.
    """
    return events.StartExperimentEvent(
        config=config,
        exp_name=str(event.exp_name),
        run_ts=event.run_ts,
        run_id=str(event.run_id),
        resumed=bool(event.resumed),
        par_dir=pathlib.Path(event.par_dir).absolute(),
        tags=[str(tag) for tag in event.tags or ()],
    )


def translate(event: Any, representation: DryRepresentation) -> events.Event:
    """Return our event for one of DRYTorch's that is described by its fields.

    Args:
        event: DRYTorch's event, neither the start nor the stop of a run.
        representation: converts metadata.

    Returns:
        The event; a `CustomEvent` for a class that is the user's own.

    Raises:
        pydantic.ValidationError: a field is of a wrong type.
    """
    names = (each.__name__ for each in type(event).__mro__)
    cls = next((_CLASSES[name] for name in names if name in _CLASSES), None)
    if cls is None:
        return _custom(event)
    return cls(**fields_of(event, cls, representation))


def fields_of(
    event: Any, cls: type[events.Event], representation: DryRepresentation | None = None
) -> dict[str, Any]:
    """Return the fields that one of DRYTorch's events shares with ours, but for its metrics.

    Args:
        event: DRYTorch's event.
        cls: our class.
        representation: converts metadata.
    """
    shared = [name for name in cls.model_fields if name != "metrics" and hasattr(event, name)]
    return {name: _field(name, getattr(event, name), representation) for name in shared}


def numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics with truth values as numbers: DRYTorch takes them, MetricEvent does not.

    Args:
        metrics: values by name.
    """
    return {name: int(v) if isinstance(v, bool) else v for name, v in metrics.items()}


def whole(value: Any) -> int | None:
    """Return an integer, also one of numpy, as Python's own; None stays None."""
    return None if value is None else operator.index(value)


def _field(name: str, value: Any, representation: DryRepresentation | None) -> Any:
    """Return a field's value as our models take it."""
    if name == "metadata" and representation is not None:
        return representation.mapping(value)
    if name == "architecture_repr":
        return without_middle(str(value), MAX_ARCHITECTURE)
    if name == "base_lr" and value is not None:
        return _rates(value)
    if name in {"epoch", "start_epoch", "end_epoch"}:
        return whole(value)
    # a text of a class of its own is plain here
    return str(value) if isinstance(value, str) else value


def _rates(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): events.plain_number(rate) for key, rate in value.items()}
    return events.plain_number(value)


def _custom(event: Any) -> events.CustomEvent:
    fields = dataclasses.fields(event) if dataclasses.is_dataclass(event) else ()
    payload = {field.name: represent(getattr(event, field.name)) for field in fields}
    return events.CustomEvent(name=type(event).__name__.removesuffix("Event"), payload=payload)
