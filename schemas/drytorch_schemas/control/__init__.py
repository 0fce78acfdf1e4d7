"""Messages of the control channel (DEALER to ROUTER): one msgpack map each, told apart by `type`.

Four groups: producers (hello, acknowledgements, resend), readers (fetch by offset), workers (names,
cursors, dead letters) and operators (status, runs, stop). A request carries an `id` that its answer
repeats. Readers ignore unknown fields, so that a newer peer of the same protocol version can say
more.
"""

from __future__ import annotations

from drytorch_schemas.control.base import Id, Message, Producer, Sequence, Token
from drytorch_schemas.control.codec import AnyMessage, decode, encode
from drytorch_schemas.control.operators import Answer, Ask
from drytorch_schemas.control.producers import Ack, Bye, Hello, Nak, Probe, Refused, Welcome
from drytorch_schemas.control.reading import Fetch, FetchContext, Filter, Filters, Records
from drytorch_schemas.control.workers import Attach, Attached, Commit, DeadLetter, Detach, Done

__all__ = [  # noqa: RUF022  # by who talks
    # all of them
    "AnyMessage",
    "Message",
    "decode",
    "encode",
    # types of fields
    "Id",
    "Producer",
    "Sequence",
    "Token",
    # producers
    "Hello",
    "Welcome",
    "Ack",
    "Nak",
    "Probe",
    "Bye",
    "Refused",
    # readers
    "Filter",
    "Filters",
    "Fetch",
    "FetchContext",
    "Records",
    # workers
    "Attach",
    "Attached",
    "Commit",
    "DeadLetter",
    "Detach",
    "Done",
    # operators
    "Ask",
    "Answer",
]
