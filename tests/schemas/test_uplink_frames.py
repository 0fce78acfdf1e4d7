"""Messages of the uplink and the fan-out."""

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import frames, limits
from drytorch_schemas.errors import DecodingError, VersionError
from drytorch_schemas.frames import UplinkHeader
from drytorch_schemas.packing import pack
from wire_values import HEX_IDS, PLAIN, same

HEADER = UplinkHeader(live=False, producer="p", token=b"t" * 16, first=1, count=1)
TOO_BIG = limits.MAX_BATCH_BYTES + limits.MAX_EVENT_BYTES + 1


@settings(max_examples=60, deadline=None)
@given(
    HEX_IDS,
    st.binary(min_size=8, max_size=64),
    st.integers(0, 2**62),
    st.lists(PLAIN, min_size=1, max_size=6),
)
def test_uplink_messages_survive(
    producer: str, token: bytes, first: int, values: list[Any]
) -> None:
    """Header and envelopes of an uplink message are the same after the wire, byte for byte."""
    encoded = [pack(value) for value in values]
    header = UplinkHeader(first == 0, producer, token, first, len(values))
    sent = frames.encode_uplink(header, frames.array_of(encoded))
    received, body = frames.decode_uplink(sent)
    assert received == header
    items = list(frames.iterate_body(body, header.count))
    assert [data for _, data in items] == encoded
    assert same([value for value, _ in items], values)


@pytest.mark.parametrize(
    "message",
    [
        [],
        [b"B1"],
        [b"B1", b"", b""],
        [b"B1", b"\x94", b""],
        [b"X1", pack(["p", b"t" * 16, 1, 1]), b""],
        [b"", pack(["p", b"t" * 16, 1, 1]), b""],
        [b"B", pack(["p", b"t" * 16, 1, 1]), b""],
        [b"B0", pack(["p", b"t" * 16, 1, 1]), b""],
        [b"B1x", pack(["p", b"t" * 16, 1, 1]), b""],
        [b"B" + b"9" * 5000, pack(["p", b"t" * 16, 1, 1]), b""],
        [b"B1", pack(["p", b"t" * 16, 1, 1]), b"x" * TOO_BIG],
        [b"B1", pack([b"p", b"t" * 16, 1, 1]), b""],
        [b"B1", pack(["", b"t" * 16, 1, 1]), b""],
        [b"B1", pack(["p" * 65, b"t" * 16, 1, 1]), b""],
        [b"B1", pack(["p", b"t" * 7, 1, 1]), b""],
        [b"B1", pack(["p", b"t" * 65, 1, 1]), b""],
        [b"B1", pack(["p", b"t" * 16, 0, 1]), b""],
        [b"L1", pack(["p", b"t" * 16, 1, 1]), b""],
        [b"B1", pack(["p", b"t" * 16, -1, 1]), b""],
        [b"B1", pack(["p", b"t" * 16, 2**63, 1]), b""],
        [b"B1", pack(["p", b"t" * 16, 1, 0]), b""],
        [b"B1", pack(["p", b"t" * 16, 1, limits.MAX_BATCH_EVENTS + 1]), b""],
        [b"B1", pack(["p", b"t" * 16, 1, 1, 1]), b""],
        [b"B1", pack({"p": 1}), b""],
    ],
    ids=lambda message: b" ".join(message)[:30].hex() or "empty",
)
def test_what_is_no_uplink_message(message: list[bytes]) -> None:
    """A message that is not as documented is a decoding error."""
    with pytest.raises(DecodingError):
        frames.decode_uplink(message)


def test_newer_protocol() -> None:
    """A message of a newer protocol version says so, whatever else is in it."""
    with pytest.raises(VersionError) as caught:
        frames.decode_uplink([b"B17", b"\xc1", b""])
    assert (caught.value.found, caught.value.known) == (17, limits.PROTOCOL_VERSION)


ONE = msgpack.packb({"a": 1})


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"", 1),
        (ONE, 1),
        (frames.array_of([ONE]), 2),
        (frames.array_of([ONE, ONE]), 1),
        (frames.array_of([ONE]) + b"\x01", 1),
        (frames.array_of([ONE])[:-1], 1),
        (b"\xdd\xff\xff\xff\xff", 1),
        (frames.array_of([b"\xc1"]), 1),
        (frames.array_of([b"\xd4\x05\x00"]), 1),
        (frames.array_of([b"\x81\x01\x01"]), 1),
        (frames.array_of([b"\xa2\xff\xfe"]), 1),
        (frames.array_of([b"\x91" * 33 + b"\x01"]), 1),
        (frames.array_of([b"\xdd\x00\x01\xff\xff" * 500]), 1),
        (frames.array_of([pack("x" * limits.MAX_EVENT_BYTES)]), 1),
        (b"\x91" * TOO_BIG, 1),
    ],
    ids=lambda value: value[:8].hex() if isinstance(value, bytes) else str(value),
)
def test_what_is_no_body(body: bytes, count: int) -> None:
    """A body that is not an array of so many sound values is a decoding error."""
    with pytest.raises(DecodingError):
        list(frames.iterate_body(body, count))


def test_largest_batch_passes() -> None:
    """A body of the largest size and count that are allowed passes."""
    size = limits.MAX_BATCH_BYTES // limits.MAX_BATCH_EVENTS
    encoded = [pack(b"x" * (size - 3))] * limits.MAX_BATCH_EVENTS
    body = frames.array_of(encoded)
    assert [data for _, data in frames.iterate_body(body, len(encoded))] == encoded


@given(st.lists(st.binary(max_size=40), max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_frames(message: list[bytes]) -> None:
    """Any frames are an uplink message or an error of this package."""
    with pytest.raises((DecodingError, VersionError)):
        frames.decode_uplink(message)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(0, 2**63))
@settings(max_examples=30, deadline=None)
def test_doorbells_survive(topic: str, head: int) -> None:
    """Topic, journal and head of a doorbell are the same after the wire."""
    sent = frames.encode_doorbell(topic, b"j" * 16, head)
    assert frames.decode_doorbell(sent) == (topic, b"j" * 16, head)


@pytest.mark.parametrize(
    "message",
    [[], [b"D:a"], [b"L:a", b"x" * 24], [b"D:a", b"x" * 23], [b"D:a", b"x" * 24, b""]],
    ids=repr,
)
def test_what_is_no_doorbell(message: list[bytes]) -> None:
    """Other messages of the fan-out are no doorbells."""
    with pytest.raises(DecodingError):
        frames.decode_doorbell(message)


def test_live_events_are_subscribed_by_topic() -> None:
    """A live event's first frame begins with what a subscriber subscribes to."""
    assert frames.encode_live("Exp/r/K/", b"e") == [frames.LIVE_PREFIX + b"Exp/r/K/", b"e"]
