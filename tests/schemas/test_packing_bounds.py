"""msgpack from outside: bombs are refused before they take room."""

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import limits
from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.packing import depth_of, pack, unpack
from wire_values import PLAIN, same

ARRAY16 = b"\xdc\xff\xff"
ARRAY32 = b"\xdd\x00\x01\xff\xff"
HUGE = b"\xdd\xff\xff\xff\xff"


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_plain_data_survive(value: Any) -> None:
    """Plain data are the same after msgpack, NaN and -0.0 included."""
    assert same(unpack(pack(value)), value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x01\x02",
        b"\x91",
        b"\xa3ab",
        b"\xa2\xff\xfe",
        HUGE,
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
        b"\xc7\x00\x05",
        b"\xc7\x00\xff",
        b"\xd4\x05\x00",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\x81\x01\x02",
        b"\x81\xc0\x02",
        b"\x81\x90\x02",
        b"\x91" * (limits.MAX_DEPTH + 1) + b"\x01",
        b"\x81\xa1a" * (limits.MAX_DEPTH + 1) + b"\x01",
        b"\x91" * 100_000 + b"\x01",
        ARRAY16 * 1000,
        ARRAY32 * 1000,
    ],
    ids=lambda data: data[:6].hex() or "empty",
)
def test_bombs_are_refused(data: bytes) -> None:
    """Wrong, incomplete, deep, huge and foreign data are decoding errors."""
    with pytest.raises(DecodingError):
        unpack(data)


def test_promises_take_no_room() -> None:
    """Nested arrays that promise more items than there are bytes are refused at little cost."""
    tracemalloc.start()
    try:
        for bomb in (ARRAY32 * 60_000, ARRAY16 * 60_000, HUGE * 100):
            with pytest.raises(DecodingError):
                unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_size_limit() -> None:
    """Data longer than allowed are refused unread."""
    with pytest.raises(DecodingError, match="11 bytes"):
        unpack(b"\xc1" * 11, 10)


def test_repeated_keys_do_no_harm() -> None:
    """A repeated key gives one value and no error."""
    assert unpack(b"\x82\xa1a\x01\xa1a\x02") in ({"a": 1}, {"a": 2})


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), 2**64, -(2**63) - 1, "\ud800", 1j],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form(value: Any) -> None:
    """What msgpack cannot carry is an encoding error."""
    with pytest.raises(EncodingError):
        pack({"a": [value]})


def test_endless_data_have_no_form() -> None:
    """A list that holds itself is an encoding error."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodingError):
        pack(endless)


@settings(max_examples=100, deadline=None)
@given(PLAIN)
def test_depth(value: Any) -> None:
    """The depth of a value is one more than that of the deepest item in it."""

    def expected(item: Any) -> int:
        if not isinstance(item, dict | list):
            return 0
        inside = item.values() if isinstance(item, dict) else item
        return 1 + max(map(expected, inside), default=0)

    assert depth_of(value) == expected(value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Any bytes decode to what plain msgpack gives, or are a decoding error."""
    try:
        value = unpack(data)
    except DecodingError:
        return
    assert same(value, msgpack.unpackb(data))
