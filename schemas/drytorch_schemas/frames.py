"""Multipart messages of the uplink (client to broker) and of the fan-out (broker to workers).

Uplink, PUB to SUB: `[b'B1', header, body]` for a batch of durable envelopes, `[b'L1', header,
body]` for live ones. The body is one msgpack array of envelopes; a batch's envelopes have
consecutive sequence numbers. The first frame ends with the protocol version, so that a reader needs
no msgpack to refuse a newer one.

Fan-out, XPUB to SUB: `[b'D:' + topic, journal id + head]` is a doorbell, `[b'L:' + topic,
envelope]` a live event.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import msgpack

from drytorch_schemas.errors import DecodingError, VersionError
from drytorch_schemas.limits import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_EVENT_BYTES,
    MAX_PRODUCER_LENGTH,
    MAX_SEQUENCE,
    MAX_TOKEN_BYTES,
    MIN_TOKEN_BYTES,
    PROTOCOL_VERSION,
)
from drytorch_schemas.packing import (
    UNPACK_ERRORS,
    UNPACK_LIMITS,
    check_depth,
    may_be_deep,
    pack,
    unpack,
)

BATCH: Final = b"B"
LIVE: Final = b"L"
DOORBELL_PREFIX: Final = b"D:"
LIVE_PREFIX: Final = b"L:"
_UPLINK_FRAMES: Final = 3
_FANOUT_FRAMES: Final = 2
_MAX_MARK: Final = 8
_MAX_HEADER: Final = 1024
_MAX_BODY: Final = MAX_BATCH_BYTES + MAX_EVENT_BYTES
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
        if len(mark) <= _MAX_MARK and mark[1:].isdigit() and int(mark[1:]) > PROTOCOL_VERSION:
            raise VersionError("an uplink message", int(mark[1:]), PROTOCOL_VERSION)
        raise DecodingError(f"unknown uplink message {mark[:8]!r}")
    if len(body) > _MAX_BODY:
        raise DecodingError(f"a body of {len(body)} bytes is larger than allowed")
    return _header(mark[:1] == LIVE, unpack(head, _MAX_HEADER)), body


def _header(live: bool, fields: Any) -> UplinkHeader:  # noqa: FBT001  # private, one caller
    match fields:
        case [str(producer), bytes(token), int(first), int(count)] if (
            0 < len(producer) <= MAX_PRODUCER_LENGTH
            and MIN_TOKEN_BYTES <= len(token) <= MAX_TOKEN_BYTES
            and 0 < count <= MAX_BATCH_EVENTS
            and (first == 0 if live else 0 < first <= MAX_SEQUENCE - count)
        ):
            return UplinkHeader(live, producer, token, first, count)
        case _:
            raise DecodingError("the header of an uplink message has wrong fields")


def iterate_body(body: bytes, count: int) -> Iterator[tuple[Any, bytes]]:
    """Yield each envelope of a body, decoded and as the bytes that it came in.

    Args:
        body: the body of an uplink message.
        count: the number of envelopes that the header states.

    Raises:
        DecodingError: not an array of that many values, too large, too deep, or bytes left over.
            Envelopes before a bad one may have been yielded.
    """
    ends = _boundaries(body, count)
    unpacker = _unpacker(body)
    unpacker.read_array_header()
    for start, end in pairwise(ends):
        encoded = body[start:end]
        try:
            value = unpacker.unpack()
        except UNPACK_ERRORS as error:
            raise _not_msgpack(error) from error
        if may_be_deep(encoded):
            check_depth(value)
        yield value, encoded


def _boundaries(body: bytes, count: int) -> list[int]:
    """Return where the envelopes of a body begin, and where the last one ends.

    Walking over them first, without building them, finds false promises of length before the
    unpacker makes room for them.
    """
    unpacker = _unpacker(body)
    try:
        if unpacker.read_array_header() != count:
            raise DecodingError("a body does not hold as many envelopes as its header states")
        ends = [unpacker.tell()]
        for _ in range(count):
            unpacker.skip()
            ends.append(unpacker.tell())
    except UNPACK_ERRORS as error:
        raise _not_msgpack(error) from error
    if ends[-1] != len(body):
        raise DecodingError("bytes are left over behind the last envelope of a body")
    if max(end - start for start, end in pairwise(ends)) > MAX_EVENT_BYTES:
        raise DecodingError(f"an envelope of a body is larger than {MAX_EVENT_BYTES} bytes")
    return ends


def _unpacker(body: bytes) -> Any:
    if len(body) > _MAX_BODY:
        raise DecodingError(f"a body of {len(body)} bytes is larger than allowed")
    unpacker = msgpack.Unpacker(max_buffer_size=_MAX_BODY, **UNPACK_LIMITS)
    unpacker.feed(body)
    return unpacker


def _not_msgpack(error: Exception) -> DecodingError:
    return DecodingError(f"a body is not valid msgpack: {type(error).__name__}: {error}")


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
        len(frames) != _FANOUT_FRAMES
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
