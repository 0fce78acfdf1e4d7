"""What an event counts in the queue, and why one is refused."""

from __future__ import annotations

from typing import Final, NoReturn

from drytorch_client.errors import EventNotPlainError, EventTooLargeError
from drytorch_schemas.errors import EncodingError, SchemaError
from drytorch_schemas.events import Event
from drytorch_schemas.limits import MAX_EVENT_BYTES
from drytorch_schemas.packing import pack

#: What an event counts besides its names, bytes: the objects that it consists of, which are more
#: than the envelope's fixed part.
OBJECTS: Final = 1024
#: A metric's value, its key's mark, and their places in a dict, bytes.
PER_METRIC: Final = 64


def refuse(event: Event, kind: str, error: SchemaError) -> NoReturn:
    """Raise what tells the caller of `emit` why an event cannot travel.

    Args:
        event: the event.
        kind: its kind.
        error: what its encoding, or reading it again, raised.

    Raises:
        EventTooLargeError: it is larger than any broker takes.
        EventNotPlainError: it holds something that cannot travel.
    """
    try:
        size = len(pack(event.to_wire()))
    except EncodingError:
        size = 0
    if size + OBJECTS > MAX_EVENT_BYTES:
        raise EventTooLargeError(kind, size, MAX_EVENT_BYTES) from error
    raise EventNotPlainError(f"{kind} event cannot travel: {error}.") from error
