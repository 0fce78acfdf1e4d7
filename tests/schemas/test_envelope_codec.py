"""Envelopes to bytes and back, and what is refused on either side."""

import contextlib
import dataclasses
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import envelope, events, limits
from drytorch_schemas.envelope import Envelope, Origin
from drytorch_schemas.errors import DecodingError, EncodingError
from wire_values import EVENTS, ORIGINS, SEQUENCES, same

ORIGIN = Origin("ab" * 16, "Exp", "r", "cd" * 16, 0, "host")
CUSTOM = events.CustomEvent(name="n", payload={})


def custom(payload: Any) -> bytes:
    """Encode an event of the user's own."""
    return envelope.encode_fields(ORIGIN, "Custom", 1, 2, {"name": "n", "payload": payload})


def wire(**changes: Any) -> dict[str, Any]:
    """Return the map of an envelope with some fields changed."""
    fields: dict[str, Any] = msgpack.unpackb(custom({}))
    return fields | changes


@settings(max_examples=60, deadline=None)
@given(origin=ORIGINS, event=EVENTS, seq=SEQUENCES, time=st.integers(0, 2**63), again=st.booleans())
def test_envelopes_survive(
    origin: Origin, event: events.Event, seq: int, time: int, *, again: bool
) -> None:
    """Whatever an envelope holds, it is the same after its msgpack form."""
    sent = Envelope(origin, seq, time, event, again=again)
    received = envelope.decode(envelope.encode(sent))
    assert received.origin == origin
    assert (received.identity, received.time) == (sent.identity, time)
    assert (received.schema, received.again) == (limits.SCHEMA_VERSION, again)
    assert same(received.event, event)


def test_keys_are_in_the_documented_order() -> None:
    """The map of an envelope has the documented keys in the documented order."""
    fields = msgpack.unpackb(envelope.encode(Envelope(ORIGIN, 1, 2, CUSTOM, again=True)))
    assert list(fields) == [*envelope.FIELDS, "again"]
    assert list(wire()) == list(envelope.FIELDS)


def test_encoding_again_changes_no_byte() -> None:
    """An envelope with unknown fields, or of an unknown kind, is written as it was read."""
    fields = {"model_name": "m", "source_name": "s", "epoch": 1, "metrics": {}, "step": None}
    later: dict[str, dict[str, Any]] = {
        "Metric": fields | {"unit": "nats"},
        "Later": {"x": [1, {}]},
        "Empty": {},
    }
    for kind, event in later.items():
        data = envelope.encode_fields(ORIGIN, kind, 7, 8, event)
        received = envelope.decode(data)
        assert received.kind == kind
        assert envelope.encode(received) == data


def test_origins_compare_by_what_they_say() -> None:
    """Having been used for encoding does not make an origin another one."""
    used, fresh = dataclasses.replace(ORIGIN), dataclasses.replace(ORIGIN)
    envelope.encode(Envelope(used, 1, 2, CUSTOM))
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert "Custom" not in repr(used)


def test_topic() -> None:
    """An envelope's topic names experiment, run and kind."""
    assert Envelope(ORIGIN, 1, 2, CUSTOM).topic == "Exp/r/Custom/"
    assert Envelope(ORIGIN, 1, 2, events.Event.from_wire("New", {})).topic == "Exp/r/New/"


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "payload",
    [
        {1: "key"},
        {"a": {"b": {None: 1}}},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": {1, 2}},
        {"a": 2**64},
        {"a": nested(limits.MAX_DEPTH)},
        {"a": nested(400)},
        {"a": msgpack.ExtType(5, b"")},
        {"a": msgpack.Timestamp(1)},
        {"a": [0] * (limits.MAX_ITEMS + 1)},
        {"a": "x" * limits.MAX_EVENT_BYTES},
    ],
    ids=lambda payload: repr(payload)[:30],
)
def test_what_no_reader_takes_is_refused_by_the_writer(payload: Any) -> None:
    """What the broker would refuse for ever is an error where the event is encoded."""
    with pytest.raises(EncodingError):
        custom(payload)


def test_as_deep_as_allowed() -> None:
    """The deepest nesting that is allowed passes on both sides."""
    payload = {"a": nested(limits.MAX_DEPTH - 3)}
    event = envelope.decode(custom(payload)).event
    assert isinstance(event, events.CustomEvent)
    assert event.payload == payload


@pytest.mark.parametrize(
    "changes",
    [
        {"v": "1"},
        {"v": 0},
        {"v": True},
        {"kind": ""},
        {"kind": 5},
        {"kind": "k" * 10_001},
        {"producer": ""},
        {"producer": "p" * 65},
        {"seq": -1},
        {"seq": 2**63},
        {"seq": 1.0},
        {"experiment": ""},
        {"experiment": b"Exp"},
        {"run_id": ""},
        {"run": None},
        {"run": "r" * 300},
        {"rank": None},
        {"host": None},
        {"time": -1},
        {"event": []},
    ],
    ids=repr,
)
def test_what_is_no_envelope(changes: dict[str, Any]) -> None:
    """A map whose fields are not those of an envelope is refused."""
    with pytest.raises(DecodingError):
        envelope.check(wire(**changes))


@pytest.mark.parametrize("name", envelope.FIELDS)
def test_a_missing_field_is_named(name: str) -> None:
    """An envelope that lacks a field is refused, and the field named."""
    fields = wire()
    del fields[name]
    with pytest.raises(DecodingError, match=name):
        envelope.check(fields)


@pytest.mark.parametrize("value", [None, 1, [], "x"], ids=repr)
def test_what_is_no_map(value: Any) -> None:
    """A value that is no map is no envelope."""
    with pytest.raises(DecodingError, match="map"):
        envelope.check(value)


def test_newer_schema_passes() -> None:
    """An envelope of a newer schema version is read as far as it is known."""
    received = envelope.decode(msgpack.packb(wire(v=99, later=1)))
    assert received.schema == 99
    assert received.kind == "Custom"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_garbage_is_a_decoding_error(data: bytes) -> None:
    """Bytes from outside are an envelope or a decoding error, nothing else."""
    with pytest.raises(DecodingError):
        envelope.decode(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_envelopes(data: st.DataObject) -> None:
    """A damaged envelope decodes, or is a decoding error, nothing else."""
    encoded = bytearray(custom({"a": [1, "x", {"b": 0.5}]}))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodingError):
        envelope.decode(bytes(encoded))
