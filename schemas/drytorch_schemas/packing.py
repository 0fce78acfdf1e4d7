"""msgpack with this project's bounds, in one place."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import msgpack

from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.limits import MAX_DEPTH, MAX_ITEMS, MAX_MESSAGE_BYTES

#: Bytes that do not open a map or an array, whatever they mean otherwise.
_NOT_OPENING: Final = bytes(set(range(256)) - set(range(0x80, 0xA0)) - {0xDC, 0xDD, 0xDE, 0xDF})


def _no_extension(code: int, data: bytes) -> NoReturn:
    # a length of 0 passes max_ext_len
    raise ValueError(f"extension type {code} of {len(data)} bytes")


#: What is refused while decoding.
UNPACK_LIMITS: Final[dict[str, Any]] = {
    "raw": False,
    "strict_map_key": True,
    "ext_hook": _no_extension,
    "max_ext_len": 0,
    "max_bin_len": MAX_MESSAGE_BYTES,
    "max_str_len": MAX_MESSAGE_BYTES,
    "max_array_len": MAX_ITEMS,
    "max_map_len": MAX_ITEMS,
}
#: What msgpack raises for bytes that it refuses.
UNPACK_ERRORS: Final = (ValueError, TypeError, RecursionError, msgpack.UnpackException)


def pack(value: Any) -> bytes:
    """Return the msgpack form of plain data.

    Args:
        value: None, bool, int of 64 bits, float, str, bytes, and lists and maps of these.

    Raises:
        EncodingError: something in it has no msgpack form.
    """
    try:
        packed: bytes = msgpack.packb(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        # UnicodeEncodeError is a ValueError: a lone surrogate
        raise EncodingError(f"not plain data: {error}") from error
    return packed


def unpack(data: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> Any:
    """Return the one value that bytes from outside hold.

    Args:
        data: exactly one msgpack value.
        max_bytes: refuse longer data.

    Raises:
        DecodingError: not msgpack, more than one value, too long, too deep, too many items, a map
            key that is no text, or an extension type.
    """
    if len(data) > max_bytes:
        raise DecodingError(f"{len(data)} bytes are more than the {max_bytes} allowed")
    suspect = may_be_deep(data)
    try:
        if suspect:
            skim(data)
        value = msgpack.unpackb(data, **UNPACK_LIMITS)
    except UNPACK_ERRORS as error:
        raise DecodingError(f"not valid msgpack: {type(error).__name__}: {error}") from error
    if suspect:
        check_depth(value)
    return value


def may_be_deep(data: bytes) -> bool:
    """Tell, from bytes alone and cheaply, whether they may nest deeper than allowed."""
    return len(data.translate(None, _NOT_OPENING)) > MAX_DEPTH


def skim(data: bytes) -> None:
    """Walk over one value without building it.

    The unpacker makes room for an array as soon as it reads its length: nested arrays that promise
    more items than there are bytes must not get that far.

    Raises:
        ValueError, msgpack.UnpackException: not one whole value.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_MESSAGE_BYTES, **UNPACK_LIMITS)
    unpacker.feed(data)
    unpacker.skip()


def check_depth(value: Any) -> None:
    """Refuse a value whose maps and arrays nest deeper than `MAX_DEPTH`.

    Raises:
        DecodingError: it is too deep.
    """
    if depth_of(value) > MAX_DEPTH:
        raise DecodingError(f"maps and arrays are nested more than {MAX_DEPTH} deep")


def depth_of(value: Any, limit: int = MAX_DEPTH) -> int:
    """Return how deep maps and arrays are nested in a value, counting up to the limit + 1."""
    level = [value]
    for depth in range(limit + 1):
        level = [item for item in level if isinstance(item, (dict, list, tuple))]
        if not level:
            return depth
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return limit + 1
