"""One pass over the body of a batch: take it apart, check it, note what the run index wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drytorch_broker.errors import BatchError
from drytorch_broker.log import TopicKey
from drytorch_schemas import envelope, frames
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.events import CONTEXT_KINDS
from drytorch_schemas.limits import MAX_EVENT_BYTES

#: The kinds that the run index looks into; all others are only counted.
TELLING_KINDS: Final = CONTEXT_KINDS | {"StopExperiment", "Loss", "RunLost", "RunFound"}
#: Topics are remembered, so that equal ones are one object; this bounds what odd names can cost.
_MAX_TOPICS: Final = 50_000


@dataclass(slots=True)
class Batch:
    """Checked envelopes with consecutive sequence numbers of one producer.

    Attributes:
        producer: id of the producer.
        first: sequence number of the first envelope.
        payloads: the envelopes as they came.
        topics: topic of each.
        times: when each was emitted, nanoseconds since 1970.
        telling: decoded envelopes of `TELLING_KINDS`, by place in the batch.
    """

    producer: str
    first: int
    payloads: list[bytes] = field(default_factory=list)
    topics: list[TopicKey] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    telling: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """Sequence number of the last envelope."""
        return self.first + len(self.payloads) - 1

    @property
    def size(self) -> int:
        """Bytes of all envelopes."""
        return sum(map(len, self.payloads))

    def after(self, seq: int) -> Batch:
        """Return the part with higher sequence numbers than the given one."""
        cut = seq + 1 - self.first
        if cut <= 0:
            return self
        telling = {place - cut: wire for place, wire in self.telling.items() if place >= cut}
        return Batch(
            self.producer,
            seq + 1,
            self.payloads[cut:],
            self.topics[cut:],
            self.times[cut:],
            telling,
        )


class BatchReader:
    """Reads batches; equal topics come out as the same object."""

    def __init__(self) -> None:
        """Initialize."""
        self._topics: dict[tuple[Any, ...], TopicKey] = {}

    def read(self, header: frames.UplinkHeader, body: bytes) -> Batch:
        """Return the checked envelopes of a batch of durable events.

        Args:
            header: what the message says of itself.
            body: the array of envelopes.

        Raises:
            BatchError: the body does not hold what the header says, or something is no envelope.
        """
        batch = Batch(header.producer, header.first)
        try:
            self._fill(batch, header, body)
        except (DecodingError, KeyError, TypeError) as error:
            raise BatchError(f"{type(error).__name__}: {error}") from error
        return batch

    def _fill(self, batch: Batch, header: frames.UplinkHeader, body: bytes) -> None:
        producer, seq, known = header.producer, header.first, self._topics
        # The loop of the broker: what is checked here costs every event.
        for wire, payload in frames.iterate_body(body, header.count):
            key = (wire["experiment"], wire["run_id"], wire["run"], wire["kind"])
            topic = known.get(key) or self._new_topic(wire, key)
            if wire["seq"] != seq or wire["producer"] != producer:
                raise BatchError(f"envelope {seq} of {producer} has another number or producer")
            if (
                type(wire["time"]) is not int
                or type(wire["event"]) is not dict
                or type(wire["v"]) is not int
                or type(wire["rank"]) is not int
                or type(wire["host"]) is not str
                or len(payload) > MAX_EVENT_BYTES
            ):
                envelope.check(wire)
                raise BatchError(f"envelope {seq} has {len(payload)} bytes, more than allowed")
            if topic.kind in TELLING_KINDS:
                batch.telling[len(batch.payloads)] = wire
            batch.payloads.append(payload)
            batch.topics.append(topic)
            batch.times.append(wire["time"])
            seq += 1

    def topic_of(self, wire: Mapping[str, Any]) -> TopicKey:
        """Return the topic of a decoded envelope.

        Args:
            wire: an envelope that `envelope.check` would pass.

        Raises:
            DecodingError: it would not.
        """
        key = (wire.get("experiment"), wire.get("run_id"), wire.get("run"), wire.get("kind"))
        return self._topics.get(key) or self._new_topic(wire, key)

    def _new_topic(self, wire: Any, key: tuple[Any, ...]) -> TopicKey:
        envelope.check(wire)
        if len(self._topics) >= _MAX_TOPICS:
            self._topics.clear()
        topic = self._topics[key] = TopicKey(*key)
        return topic
