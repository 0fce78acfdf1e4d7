"""The envelope: an event and where it came from, and its msgpack form.

The msgpack form is a map with these keys, in this order: `v` schema version, `kind`, `producer`,
`seq`, `experiment`, `run_id`, `run` (UUID), `rank`, `host`, `time` (nanoseconds since 1970, UTC),
`event` (the fields of the event). `again` follows where the event repeats a run's context for a
broker that lost it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from drytorch_schemas import topics, upgrade
from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.events import Event, UnknownEvent
from drytorch_schemas.events.base import is_fully_typed
from drytorch_schemas.limits import (
    MAX_EVENT_BYTES,
    MAX_ID_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PRODUCER_LENGTH,
    MAX_SEQUENCE,
    SCHEMA_VERSION,
)
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
_values_of = itemgetter(*FIELDS)
_TYPES: Final = tuple(FIELDS.values())
_MAX_TIME: Final = 2**64
_U64: Final = struct.Struct(">BQ")
_U64_MARK: Final = 0xCF
_MAP: Final = bytes([0x80 + len(FIELDS)])
_MAP_AND_AGAIN: Final = bytes([0x81 + len(FIELDS)])
_EVENT_KEY: Final = pack("event")
_AGAIN: Final = pack("again") + pack(True)  # noqa: FBT003  # msgpack's own true


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
    _encoded: dict[str, tuple[bytes, bytes]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def encoded(self, kind: str) -> tuple[bytes, bytes]:
        """Return the bytes around the sequence number that all envelopes of a kind share.

        Args:
            kind: kind of the event.

        Raises:
            EncodingError: a name is not valid Unicode.
        """
        parts = self._encoded.get(kind)
        if parts is None:
            before = ("v", SCHEMA_VERSION, "kind", kind, "producer", self.producer, "seq")
            run = ("experiment", self.experiment, "run_id", self.run_id, "run", self.run)
            place = ("rank", self.rank, "host", self.host, "time")
            parts = b"".join(map(pack, before)), b"".join(map(pack, run + place))
            self._encoded[kind] = parts
        return parts


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
        return self.event.name if isinstance(self.event, UnknownEvent) else self.event.kind

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
        EncodingError: a field has no msgpack form, or no reader would take it: too large, too deep,
            or a map key that is no text.
    """
    before, between = origin.encoded(kind)
    packed = (
        _MAP_AND_AGAIN if again else _MAP,
        before,
        _U64.pack(_U64_MARK, seq),
        between,
        _U64.pack(_U64_MARK, time),
        _EVENT_KEY,
        pack(fields),
        _AGAIN if again else b"",
    )
    data = b"".join(packed)
    if len(data) > MAX_EVENT_BYTES:
        raise EncodingError(
            f"{kind} of {len(data)} bytes is larger than the {MAX_EVENT_BYTES} bytes allowed"
        )
    if not is_fully_typed(kind):
        _refuse_unreadable(data)
    return data


def renumber(data: bytes, origin: Origin, kind: str, seq: int) -> bytes:
    """Return an encoded envelope with another sequence number.

    Args:
        data: the bytes that `encode_fields` made for this origin and kind.
        origin: producer, run, rank and host.
        kind: kind of the event.
        seq: the sequence number.
    """
    # the map's mark stands before the shared bytes, the number's own mark behind them
    place = len(_MAP) + len(origin.encoded(kind)[0]) + 1
    return b"".join((data[:place], seq.to_bytes(8, "big"), data[place + 8 :]))


def _refuse_unreadable(data: bytes) -> None:
    """Find out here, and not at the broker, what no reader would take: depth, keys, sizes."""
    try:
        unpack(data, MAX_EVENT_BYTES)
    except DecodingError as error:
        raise EncodingError(f"no reader would take the event: {error}") from error


def encode(envelope: Envelope) -> bytes:
    """Return the msgpack form of an envelope.

    Args:
        envelope: the envelope to encode.

    Raises:
        EncodingError: as `encode_fields` does.
    """
    return encode_fields(
        envelope.origin,
        envelope.kind,
        envelope.seq,
        envelope.time,
        envelope.event.to_wire(),
        again=envelope.again,
    )


def check(wire: Any) -> Mapping[str, Any]:
    """Return the map of an envelope after looking at the fields that everybody relies on.

    The event's own fields are not looked at: a newer writer's kinds must pass through, and so must
    its schema version.

    Args:
        wire: a decoded msgpack value from outside.

    Raises:
        DecodingError: it is not an envelope.
    """
    if type(wire) is not dict:
        raise DecodingError(f"an envelope must be a map, not {type(wire).__name__}")
    try:
        fits = tuple(map(type, _values_of(wire))) == _TYPES
    except KeyError:
        fits = False
    if not fits:
        raise DecodingError(_misfit(wire))
    kind, experiment, run_id = wire["kind"], wire["experiment"], wire["run_id"]
    if not kind or not experiment or not run_id:
        raise DecodingError("kind, experiment and run_id of an envelope must not be empty")
    if max(len(kind), len(experiment), len(run_id)) > MAX_NAME_LENGTH:
        raise DecodingError(f"a name of an envelope has more than {MAX_NAME_LENGTH} characters")
    if not 0 < len(wire["producer"]) <= MAX_PRODUCER_LENGTH or len(wire["run"]) > MAX_ID_LENGTH:
        raise DecodingError("producer or run of an envelope is empty or too long")
    if not (0 <= wire["seq"] < MAX_SEQUENCE and 0 <= wire["time"] < _MAX_TIME and wire["v"] > 0):
        raise DecodingError("v, seq or time of an envelope is out of range")
    checked: Mapping[str, Any] = wire
    return checked


def _misfit(wire: Mapping[str, Any]) -> str:
    name, expected = next(
        (name, expected)
        for name, expected in FIELDS.items()
        if type(wire.get(name)) is not expected
    )
    return f"field {name} of an envelope must be of type {expected.__name__}"


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
    kind, version = wire["kind"], wire["v"]
    event = Event.from_wire(kind, upgrade.EVENTS.apply(kind, version, wire["event"]))
    return Envelope(origin, wire["seq"], wire["time"], event, version, bool(wire.get("again")))


def decode(data: bytes) -> Envelope:
    """Return the envelope that bytes from outside hold.

    Args:
        data: the msgpack form of one envelope.

    Raises:
        DecodingError: it is not an envelope, or too large.
    """
    return from_map(check(unpack(data, MAX_EVENT_BYTES)))
