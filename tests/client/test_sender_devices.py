"""Metrics on a device: no wait in `emit`, values and order as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drytorch_client.config import ClientConfig
from drytorch_client.sender import Sender
from drytorch_schemas.events import BatchProgressEvent, MetricEvent
from emitting import RUN, envelopes, metric
from hosts import Host

FIELDS = {"model_name": "net", "source_name": "T", "epoch": 1}


class Device:
    """Stands for a GPU."""

    type = "cuda"


class Tensor:
    """Looks like a tensor on a device, and fails a test that reads it in the wrong thread."""

    dtype: Any = type("dtype", (), {"is_complex": False, "__str__": lambda _: "torch.float32"})()

    def __init__(self, value: float, device: Device, elements: int = 1) -> None:
        self.value = value
        self.device = device
        self._elements = elements

    def detach(self) -> Tensor:
        """Return itself."""
        return self

    def numel(self) -> int:
        """Return the number of elements."""
        return self._elements

    def clone(self) -> Tensor:
        """Return a copy, as of now."""
        return Tensor(self.value, self.device, self._elements)

    def item(self) -> float:
        """Wait for the device."""
        import threading

        assert threading.current_thread().name == "drytorch-sender"
        return self.value


@pytest.fixture
def sender(tmp_path: Path, no_process_left_behind: None) -> Iterator[Sender]:  # noqa: ARG001 - it looks last
    """Return a sender with a broker."""
    host = Host(tmp_path)
    sender = Sender(ClientConfig())
    yield sender
    sender.close(1)
    host.stop()


def test_values_are_read_by_the_sender_thread(sender: Sender) -> None:
    """Tensors on a device keep their place among the metrics, and the value that they had."""
    tensor = Tensor(0.5, Device())
    metrics = {"a": 1, "loss": tensor, "z": 2.0}
    sender.emit_metrics(MetricEvent, FIELDS, metrics, RUN)
    tensor.value = 99.0
    sender.emit(metric(2), RUN)
    assert sender.flush(20)
    first, second = (each.event for each in envelopes())
    assert isinstance(first, MetricEvent)
    assert isinstance(second, MetricEvent)
    assert list(first.metrics.items()) == [("a", 1), ("loss", 0.5), ("z", 2.0)]
    assert second.epoch == 2


def test_progress_takes_tensors_too(sender: Sender) -> None:
    """The last progress of a pass carries the tensor's value."""
    fields = {"source_name": "T", "pass_id": 1, "batches": 3, "final": True}
    sender.emit_metrics(BatchProgressEvent, fields, {"loss": Tensor(0.25, Device())}, RUN)
    assert sender.flush(20)
    (found,) = (each.event for each in envelopes())
    assert isinstance(found, BatchProgressEvent)
    assert found.metrics == {"loss": 0.25}


def test_plain_numbers_need_no_device(sender: Sender) -> None:
    """Without a tensor on a device the event is emitted as any other."""
    sender.emit_metrics(MetricEvent, FIELDS, {"loss": 0.5}, RUN)
    assert sender.flush(20)
    assert len(envelopes()) == 1


def test_wrong_values_raise_in_the_callers_line(sender: Sender) -> None:
    """A tensor of several elements, and another metric of a wrong type, are refused at once."""
    with pytest.raises(TypeError, match="'loss' is a tensor of 2 elements"):
        sender.emit_metrics(MetricEvent, FIELDS, {"loss": Tensor(0, Device(), 2)}, RUN)
    metrics = {"loss": Tensor(0, Device()), "name": "text"}
    with pytest.raises(ValidationError, match="name"):
        sender.emit_metrics(MetricEvent, FIELDS, metrics, RUN)
    assert sender.status().accepted == 0
