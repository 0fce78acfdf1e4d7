"""Metric values: from what users hand over to plain numbers."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from drytorch_schemas.events.base import Int, Name
from drytorch_schemas.limits import MAX_METRICS

#: An integer of more than 64 bits becomes a float.
Number = Int | float


def plain_number(value: object) -> int | float:
    """Turn a numpy scalar, a Decimal or a tensor of one element into a Python number.

    Args:
        value: whatever a user reported as a metric.

    Returns:
        An int where the value is integral by type, else a float.

    Raises:
        TypeError: the value is no number, or a bool.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # subclasses such as numpy.float64 become plain: other programs must be able to read them
        return int(value) if isinstance(value, int) else float(value)

    if (detach := getattr(value, "detach", None)) is not None:
        value = detach()
    if (item := getattr(value, "item", None)) is not None:
        # numpy and torch both offer item(); more than one element raises there
        try:
            value = item()
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{type(value).__name__} of more than one element") from None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    if isinstance(value, (numbers.Real, decimal.Decimal)) and not isinstance(value, bool):
        return float(value)
    raise TypeError(type(value).__name__)


def _convert_metrics(value: Any) -> Any:
    # plain numbers are the common case and must stay cheap
    if not isinstance(value, Mapping):
        return value
    for item in value.values():
        if type(item) is not float and type(item) is not int:
            break
    else:
        return value
    converted = {}
    for key, item in value.items():
        try:
            converted[key] = plain_number(item)
        except TypeError as error:
            raise PydanticCustomError(
                "metric_value",
                "metric {name} must be an int or a float, not {kind}",
                {"name": repr(key), "kind": str(error)},
            ) from None
    return converted


Metrics = Annotated[
    dict[Name, Number], Field(max_length=MAX_METRICS), BeforeValidator(_convert_metrics)
]
