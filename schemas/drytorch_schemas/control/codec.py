"""Control messages to bytes and back."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, TypeAdapter, ValidationError

from drytorch_schemas.control.base import Message
from drytorch_schemas.control.operators import Answer, Ask
from drytorch_schemas.control.producers import Ack, Bye, Hello, Nak, Probe, Refused, Welcome
from drytorch_schemas.control.reading import Fetch, FetchContext, Records
from drytorch_schemas.control.workers import Attach, Attached, Commit, DeadLetter, Detach, Done
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.limits import MAX_MESSAGE_BYTES
from drytorch_schemas.packing import pack, unpack

AnyMessage = Annotated[
    Hello
    | Welcome
    | Ack
    | Nak
    | Probe
    | Bye
    | Refused
    | Attach
    | Attached
    | Fetch
    | FetchContext
    | Records
    | Commit
    | DeadLetter
    | Detach
    | Done
    | Ask
    | Answer,
    Field(discriminator="type"),
]


class _Reader:
    adapter: ClassVar[TypeAdapter[AnyMessage]] = TypeAdapter(AnyMessage)


def encode(message: Message) -> bytes:
    """Return a control message as bytes.

    Args:
        message: any of the messages above.

    Raises:
        EncodingError: an answer holds something that has no msgpack form.
    """
    return pack(message.model_dump())


def decode(data: bytes) -> AnyMessage:
    """Return the control message that bytes from outside hold.

    Args:
        data: one msgpack map.

    Raises:
        DecodingError: not a control message of this protocol version.
    """
    fields = unpack(data, MAX_MESSAGE_BYTES)
    try:
        return _Reader.adapter.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DecodingError(f"not a control message: {where}: {first['msg']}") from error
