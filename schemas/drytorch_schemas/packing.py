"""msgpack with this project's bounds, in one place."""

from __future__ import annotations

from typing import Any

import msgpack

from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.limits import MAX_DEPTH, MAX_MESSAGE_BYTES

_UNPACK_LIMITS: dict[str, Any] = {
    "raw": False,
    "strict_map_key": True,
    "max_ext_len": 0,
    "max_bin_len": MAX_MESSAGE_BYTES,
    "max_str_len": MAX_MESSAGE_BYTES,
}


def pack(value: Any) -> bytes:
    """Return the msgpack form of plain data.

    Args:
        value: None, bool, int of 64 bits, float, str, bytes, and lists and maps of these.

    Raises:
        EncodingError: something in it has no msgpack form.
    """
    try:
        packed: bytes = msgpack.packb(value, use_bin_type=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        # UnicodeEncodeError is a ValueError: a lone surrogate
        raise EncodingError(f"not plain data: {error}") from error
    return packed


def unpack(data: bytes | memoryview, max_bytes: int = MAX_MESSAGE_BYTES) -> Any:
    """Return the one value that bytes from outside hold.

    Args:
        data: exactly one msgpack value.
        max_bytes: refuse longer data.

    Raises:
        DecodingError: not msgpack, more than one value, too long, or too deep.
    """
    if len(data) > max_bytes:
        raise DecodingError(f"{len(data)} bytes are more than the {max_bytes} allowed")
    try:
        value = msgpack.unpackb(data, **_UNPACK_LIMITS)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise DecodingError(f"not valid msgpack: {type(error).__name__}: {error}") from error
    return value


def depth_of(value: Any, limit: int = MAX_DEPTH) -> int:
    """Return how deep maps and arrays are nested in a value, counting no further than the limit + 1."""
    level = [value]
    for depth in range(limit + 1):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        if not any(isinstance(item, (dict, list)) for item in level):
            return depth
        level = deeper
    return limit + 1
