"""Metrics on a device: no wait in `emit`, values and order as they were."""

from __future__ import annotations

import sys
import threading
import types
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


class Copy:
    """Looks like a tensor in pinned memory."""

    value = 0.0

    def copy_(self, tensor: Tensor, *, non_blocking: bool) -> None:
        """Take the value over, without waiting."""
        assert non_blocking
        self.value = tensor.value

    def item(self) -> float:
        """Return the value."""
        return self.value


class CudaTensor(Tensor):
    """Lies on a device that can tell whether it has computed."""

    is_cuda = True

    def reshape(self, _: tuple[()]) -> CudaTensor:
        """Return itself."""
        return self


def test_events_behind_a_busy_device_wait_in_order(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the device computes nothing waits in `emit`, and the events keep their order."""
    computed = threading.Event()

    class Arrival:
        def record(self, stream: object) -> None:
            assert stream == "stream"

        def query(self) -> bool:
            return computed.is_set()

        def synchronize(self) -> None:
            assert computed.is_set()

    cuda = types.SimpleNamespace(Event=Arrival, current_stream=lambda _: "stream")
    torch = types.SimpleNamespace(empty=lambda *_, **__: Copy(), cuda=cuda)
    monkeypatch.setitem(sys.modules, "torch", torch)
    sender.emit(metric(1), RUN)
    sender.emit_metrics(MetricEvent, FIELDS | {"epoch": 2}, {"a": CudaTensor(3, Device())}, RUN)
    sender.emit(metric(3), RUN)
    assert not sender.flush(0.5)
    assert sender.status().queued == 2
    computed.set()
    assert sender.flush(20)
    events = [each.event for each in envelopes()]
    assert [each.epoch for each in events if isinstance(each, MetricEvent)] == [1, 2, 3]
