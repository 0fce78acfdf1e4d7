"""Metrics whose values are still on a device: copied without waiting, read by the sender thread.

torch is never imported here: whoever has a tensor has imported it. The copy is ordered behind the
work that computes the value, so that later changes of the tensor do not show.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, Protocol

from drytorch_schemas.events import BatchProgressEvent, MetricEvent

#: Stands for a value until it is known.
_UNKNOWN: Final = 0.0


class _Value(Protocol):
    def ready(self) -> bool:
        """Tell whether reading would not wait."""

    def read(self) -> float:
        """Return the value; may wait for the device."""


class _Pinned:
    """A value on its way to pinned memory."""

    def __init__(self, tensor: Any) -> None:
        torch = sys.modules["torch"]
        self._copy = torch.empty((), dtype=tensor.dtype, pin_memory=True)
        self._copy.copy_(tensor.reshape(()), non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record(torch.cuda.current_stream(tensor.device))

    def ready(self) -> bool:
        return bool(self._arrived.query())

    def read(self) -> float:
        self._arrived.synchronize()
        value: float = self._copy.item()
        return value


class _Cloned:
    """A value of a device that cannot say whether it is computed: reading waits."""

    def __init__(self, tensor: Any) -> None:
        self._copy = tensor.clone()

    def ready(self) -> bool:
        return True

    def read(self) -> float:
        value: float = self._copy.item()
        return value


class PendingEvent:
    """An event of which some metrics are not known yet.

    Attributes:
        event: the event, with zeros in their places.
    """

    def __init__(self, event: MetricEvent | BatchProgressEvent, tensors: Mapping[str, Any]) -> None:
        """Start the copies.

        Args:
            event: the event with placeholders.
            tensors: the values by name, tensors of one element on a device.
        """
        self.event: Final = event
        self._values: Final = {name: _started(tensor) for name, tensor in tensors.items()}

    def ready(self) -> bool:
        """Tell whether all values are known."""
        return all(value.ready() for value in self._values.values())

    def to_wire(self) -> dict[str, Any]:
        """Return the event's fields with the values; waits for the device where it must."""
        fields = self.event.to_wire()
        known = {name: value.read() for name, value in self._values.items()}
        fields["metrics"] = {**self.event.metrics, **known}
        return fields


def on_device(value: Any) -> bool:
    """Tell whether reading a value would wait for a device."""
    if not hasattr(value, "detach"):
        return False
    return getattr(getattr(value, "device", None), "type", "cpu") != "cpu"


def split(metrics: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metrics with placeholders for what is on a device, and the tensors there.

    Args:
        metrics: values by name.

    Raises:
        TypeError: a tensor has more than one element, or no numbers.
    """
    plain, tensors = dict(metrics), {}
    for name, value in metrics.items():
        if not on_device(value):
            continue
        if value.numel() != 1 or value.dtype.is_complex or str(value.dtype) == "torch.bool":
            raise TypeError(
                f"Metric {name!r} is a tensor of {value.numel()} elements of {value.dtype}: "
                f"report one real number."
            )
        plain[name] = _UNKNOWN
        tensors[name] = value.detach()
    return plain, tensors


def _started(tensor: Any) -> _Value:
    return _Pinned(tensor) if getattr(tensor, "is_cuda", False) else _Cloned(tensor)
