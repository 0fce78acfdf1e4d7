"""Batches as a client makes them, without a client."""

from __future__ import annotations

from typing import Any

from drytorch_broker.inlet import Inlet
from drytorch_broker.log import TopicKey
from drytorch_schemas import envelope, frames
from drytorch_schemas.control import Hello, Refused, Welcome
from drytorch_schemas.packing import unpack

TOKEN = b"secret-of-sixteen"
PRODUCER = "a" * 32
RUN = "b" * 32
FIELDS: dict[str, dict[str, Any]] = {
    "Metric": {"model_name": "net", "source_name": "T", "epoch": 1, "metrics": {"loss": 0.5}},
    "StartExperiment": {"config": {}, "exp_name": "Exp", "run_id": "r"},
    "StopExperiment": {"exp_name": "Exp", "run_id": "r", "status": "completed"},
}


def event(
    seq: int, kind: str = "Metric", *, producer: str = PRODUCER, run: str = RUN, **fields: Any
) -> bytes:
    """Return one encoded envelope."""
    origin = envelope.Origin(producer, "Exp", "r", run, 0, "host")
    return envelope.encode_fields(origin, kind, seq, 10**18 + seq, FIELDS.get(kind, {}) | fields)


def topic(kind: str = "Metric", run: str = RUN) -> TopicKey:
    """Return the topic of what `event` makes."""
    return TopicKey("Exp", "r", run, kind)


def batch(
    first: int, count: int = 1, *, producer: str = PRODUCER, token: bytes = TOKEN, **options: Any
) -> tuple[frames.UplinkHeader, bytes]:
    """Return header and body of a batch."""
    events = [event(first + n, producer=producer, **options) for n in range(count)]
    return frames.UplinkHeader(False, producer, token, first, count), frames.array_of(events)  # noqa: FBT003 - durable


def hello(oldest: int = 1, upcoming: int = 1, *, producer: str = PRODUCER, **fields: Any) -> Hello:
    """Return a hello."""
    values: dict[str, Any] = {"token": TOKEN, "host": "elsewhere", "pid": 1} | fields
    return Hello(id=1, producer=producer, oldest=oldest, next=upcoming, **values)


def welcomed(inlet: Inlet, message: Hello | None = None, now: float = 0.0) -> Welcome:
    """Say hello and return the welcome."""
    answer = inlet.on_hello(message or hello(), now)
    assert not isinstance(answer, Refused), answer
    return answer


def seqs(records: list[tuple[int, bytes]], producer: str = PRODUCER) -> list[int]:
    """Return the sequence numbers of a producer's envelopes, in the order given."""
    wires = [unpack(payload) for _, payload in records]
    return [wire["seq"] for wire in wires if wire["producer"] == producer]
