"""Multipart messages of the uplink (client to broker) and of the fan-out (broker to workers).

Uplink, PUB to SUB: `[b'B1', header, body]` for a batch of durable envelopes, `[b'L1', header, body]` for live
ones. The body is one msgpack array of envelopes; a batch's envelopes have consecutive sequence numbers. The first
frame ends with the protocol version, so that a reader needs no msgpack to refuse a newer one.

Fan-out, XPUB to SUB: `[b'D:' + topic, journal id + head]` is a doorbell, `[b'L:' + topic, envelope]` a live event.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from drytorch_schemas.errors import DecodingError, VersionError
from drytorch_schemas.limits import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_EVENT_BYTES,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
)
from drytorch_schemas.packing import pack, unpack

BATCH: Final = b"B"
LIVE: Final = b"L"
DOORBELL_PREFIX: Final = b"D:"
LIVE_PREFIX: Final = b"L:"
_UPLINK_FRAMES: Final = 3
_ARRAY32: Final = struct.Struct(">BI")
_HEAD: Final = struct.Struct(">16sQ")
_VERSION: Final = str(PROTOCOL_VERSION).encode()


@dataclass(frozen=True, slots=True)
class UplinkHeader:
    """Who sent a batch, and which sequence numbers it holds.

    Attributes:
        live: whether the body holds live events (without sequence numbers).
        producer: id of the producer.
        token: secret of the producer; nobody else can write under its id.
        first: sequence number of the first envelope; 0 for live ones.
        count: number of envelopes.
    """

    live: bool
    producer: str
    token: bytes
    first: int
    count: int


def array_of(encoded: Sequence[bytes]) -> bytes:
    """Return one msgpack array whose items are already encoded."""
    return _ARRAY32.pack(0xDD, len(encoded)) + b"".join(encoded)


def encode_uplink(header: UplinkHeader, body: bytes) -> list[bytes]:
    """Return the frames of an uplink message.

    Args:
        header: who sends what.
        body: a msgpack array of envelopes, as `array_of` makes it.
    """
    kind = LIVE if header.live else BATCH
    fields = [header.producer, header.token, header.first, header.count]
    return [kind + _VERSION, pack(fields), body]


def decode_uplink(frames: Sequence[bytes]) -> tuple[UplinkHeader, bytes]:
    """Return header and body of an uplink message.

    Args:
        frames: the parts of the message as received.

    Raises:
        DecodingError: not an uplink message, or larger than allowed.
        VersionError: of a newer protocol version.
    """
    if len(frames) != _UPLINK_FRAMES:
        raise DecodingError(f"an uplink message has {_UPLINK_FRAMES} frames, not {len(frames)}")
    mark, head, body = frames
    if mark[:1] not in (BATCH, LIVE):
        raise DecodingError(f"unknown uplink message {mark[:8]!r}")
    if mark[1:] != _VERSION:
        if mark[1:].isdigit() and len(mark) < 8 and int(mark[1:]) > PROTOCOL_VERSION:
            raise VersionError("an uplink message", int(mark[1:]), PROTOCOL_VERSION)
        raise DecodingError(f"unknown uplink message {mark[:8]!r}")
    match unpack(head, 1024):
        case [str(producer), bytes(token), int(first), int(count)] if (
            0 < count <= MAX_BATCH_EVENTS and 0 <= first < 2**63 and 0 < len(producer) <= 64
        ):
            return UplinkHeader(mark[:1] == LIVE, producer, token, first, count), body
        case _:
            raise DecodingError("the header of an uplink message has wrong fields")


def iterate_body(body: bytes, count: int) -> Iterator[tuple[Any, bytes]]:
    """Yield each envelope of a body, decoded and as the bytes that it came in.

    Args:
        body: the body of an uplink message.
        count: the number of envelopes that the header states.

    Raises:
        DecodingError: not an array of that many values, too large, or bytes left over.
    """
    if len(body) > MAX_BATCH_BYTES + MAX_EVENT_BYTES:
        raise DecodingError(f"a body of {len(body)} bytes is larger than allowed")
    unpacker = msgpack.Unpacker(
        raw=False, strict_map_key=True, max_buffer_size=MAX_MESSAGE_BYTES, max_ext_len=0
    )
    unpacker.feed(body)
    try:
        if unpacker.read_array_header() != count:
            raise DecodingError("a body does not hold as many envelopes as its header states")
        start = unpacker.tell()
        for _ in range(count):
            value = unpacker.unpack()
            end = unpacker.tell()
            yield value, body[start:end]
            start = end
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise DecodingError(
            f"a body is not valid msgpack: {type(error).__name__}: {error}"
        ) from error
    if start != len(body):
        raise DecodingError("bytes are left over behind the last envelope of a body")


def encode_doorbell(topic: str, journal: bytes, head: int) -> list[bytes]:
    """Return the frames that say: this topic has news below this offset.

    Args:
        topic: the topic with news.
        journal: the journal's id, 16 bytes.
        head: the first offset not yet used.
    """
    return [DOORBELL_PREFIX + topic.encode(), _HEAD.pack(journal, head)]


def decode_doorbell(frames: Sequence[bytes]) -> tuple[str, bytes, int]:
    """Return topic, journal id and head of a doorbell.

    Args:
        frames: the parts of the message as received.

    Raises:
        DecodingError: not a doorbell.
    """
    if (
        len(frames) != 2
        or not frames[0].startswith(DOORBELL_PREFIX)
        or len(frames[1]) != _HEAD.size
    ):
        raise DecodingError("not a doorbell")
    journal, head = _HEAD.unpack(frames[1])
    return frames[0][len(DOORBELL_PREFIX) :].decode(errors="replace"), journal, head


def encode_live(topic: str, envelope: bytes) -> list[bytes]:
    """Return the frames of a live event.

    Args:
        topic: the envelope's topic.
        envelope: the encoded envelope.
    """
    return [LIVE_PREFIX + topic.encode(), envelope]
