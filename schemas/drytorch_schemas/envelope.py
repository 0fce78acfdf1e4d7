"""The envelope: an event and where it came from, and its msgpack form.

The msgpack form is a map with these keys, in this order: `v` schema version, `kind`, `producer`, `seq`,
`experiment`, `run_id`, `run` (UUID), `rank`, `host`, `time` (nanoseconds since 1970, UTC), `event` (the fields
of the event). `again` follows where the event repeats a run's context for a broker that lost it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drytorch_schemas import topics
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.events import Event
from drytorch_schemas.limits import MAX_EVENT_BYTES, MAX_NAME_LENGTH, SCHEMA_VERSION
from drytorch_schemas.packing import pack, unpack

#: The fields that every reader may rely on, and their types.
FIELDS: Final[Mapping[str, type]] = {
    "v": int,
    "kind": str,
    "producer": str,
    "seq": int,
    "experiment": str,
    "run_id": str,
    "run": str,
    "rank": int,
    "host": str,
    "time": int,
    "event": dict,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of an envelope that all events of one run in one process share.

    Attributes:
        producer: id of the client in this process, 32 hexadecimal digits.
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run, 32 hexadecimal digits: trackers key their state by it.
        rank: rank in the process group, 0 without one.
        host: name of the host.
    """

    producer: str
    experiment: str
    run_id: str
    run: str
    rank: int
    host: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event and where it came from.

    Attributes:
        origin: producer, run, rank and host.
        seq: number of the event among the producer's durable ones, from 1; 0 for live events.
        time: nanoseconds since 1970, UTC, when `emit` was called.
        event: the event.
        schema: version of the events' schema that the writer used.
        again: whether this repeats a run's context for a broker that lost it.
    """

    origin: Origin
    seq: int
    time: int
    event: Event
    schema: int = SCHEMA_VERSION
    again: bool = False

    @property
    def kind(self) -> str:
        """Kind of the event, also of an unknown one."""
        name = getattr(self.event, "name", "")
        return str(name) if self.event.kind == "Unknown" else self.event.kind

    @property
    def topic(self) -> str:
        """Address of this envelope."""
        return topics.build(self.origin.experiment, self.origin.run_id, self.kind)

    @property
    def identity(self) -> tuple[str, int]:
        """What makes a durable event unique: producer and sequence number."""
        return self.origin.producer, self.seq


def encode_fields(
    origin: Origin,
    kind: str,
    seq: int,
    time: int,
    fields: Mapping[str, Any],
    *,
    again: bool = False,
) -> bytes:
    """Return the msgpack form of an envelope from its parts.

    Args:
        origin: producer, run, rank and host.
        kind: kind of the event.
        seq: sequence number, 0 for live events.
        time: nanoseconds since 1970, UTC.
        fields: the event's fields as `Event.to_wire` gives them.
        again: whether this repeats a run's context.

    Raises:
        EncodingError: a field has no msgpack form.
    """
    wire = {
        "v": SCHEMA_VERSION,
        "kind": kind,
        "producer": origin.producer,
        "seq": seq,
        "experiment": origin.experiment,
        "run_id": origin.run_id,
        "run": origin.run,
        "rank": origin.rank,
        "host": origin.host,
        "time": time,
        "event": fields,
    }
    if again:
        wire["again"] = True
    return pack(wire)


def encode(envelope: Envelope) -> bytes:
    """Return the msgpack form of an envelope.

    Args:
        envelope: the envelope to encode.

    Raises:
        EncodingError: a field of the event has no msgpack form.
    """
    return encode_fields(
        envelope.origin,
        envelope.kind,
        envelope.seq,
        envelope.time,
        getattr(envelope.event, "fields", None) or envelope.event.to_wire()
        if envelope.event.kind == "Unknown"
        else envelope.event.to_wire(),
        again=envelope.again,
    )


def check(wire: Any) -> Mapping[str, Any]:
    """Return the map of an envelope after looking at the fields that everybody relies on.

    The event's own fields are not looked at: a newer writer's kinds must pass through.

    Args:
        wire: a decoded msgpack value from outside.

    Raises:
        DecodingError: it is not an envelope.
    """
    if type(wire) is not dict:
        raise DecodingError(f"an envelope must be a map, not {type(wire).__name__}")
    for name, expected in FIELDS.items():
        if type(wire.get(name)) is not expected:
            raise DecodingError(f"field {name} of an envelope must be of type {expected.__name__}")
    if not wire["kind"] or not wire["experiment"] or not wire["run_id"] or wire["seq"] < 0:
        raise DecodingError("kind, experiment and run_id of an envelope must not be empty")
    if max(len(wire["kind"]), len(wire["experiment"]), len(wire["run_id"])) > MAX_NAME_LENGTH:
        raise DecodingError(f"a name of an envelope has more than {MAX_NAME_LENGTH} characters")
    checked: Mapping[str, Any] = wire
    return checked


def from_map(wire: Mapping[str, Any]) -> Envelope:
    """Return the envelope of a map that `check` has passed.

    Args:
        wire: the decoded map.

    Raises:
        DecodingError: the fields of a known kind are wrong.
    """
    origin = Origin(
        producer=wire["producer"],
        experiment=wire["experiment"],
        run_id=wire["run_id"],
        run=wire["run"],
        rank=wire["rank"],
        host=wire["host"],
    )
    event = Event.from_wire(wire["kind"], wire["event"])
    return Envelope(origin, wire["seq"], wire["time"], event, wire["v"], bool(wire.get("again")))


def decode(data: bytes | memoryview) -> Envelope:
    """Return the envelope that bytes from outside hold.

    Args:
        data: the msgpack form of one envelope.

    Raises:
        DecodingError: it is not an envelope, or too large.
    """
    return from_map(check(unpack(data, MAX_EVENT_BYTES)))
