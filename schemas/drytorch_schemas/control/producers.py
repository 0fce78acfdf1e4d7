"""Messages between producers and the broker: hello, acknowledgements, resend."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drytorch_schemas.control.base import Message, Producer, Sequence, Token
from drytorch_schemas.limits import PROTOCOL_VERSION


class Hello(Message):
    """A producer says who it is, at each connection.

    Attributes:
        version: protocol version.
        producer: id of the producer.
        token: the producer's secret, set at its first hello.
        host: name of its host.
        pid: its process.
        oldest: the oldest sequence number that it still holds; equals `next` when it holds none.
        next: the sequence number that it will give next.
        adopted: whether somebody else delivers what a dead producer left.
        spool: path of its spool folder on its host, to see from outside whether it lives.
    """

    type: Literal["hello"] = "hello"
    version: int = PROTOCOL_VERSION
    producer: Producer
    token: Token
    host: str
    pid: int
    oldest: Sequence
    next: Sequence
    adopted: bool = False
    spool: str = ""


class Welcome(Message):
    """The broker's answer to a hello.

    Attributes:
        version: the broker's protocol version.
        journal: the journal's id, 32 hexadecimal digits.
        producer: id of the producer that this is for.
        durable: the producer's last sequence number that is on disk; 0 for none.
        ports: TCP ports of `ingest` and `fanout`; empty for ipc. Never addresses: NAT and
            forwarding change these.
        max_event_bytes: largest envelope that the broker takes.
    """

    type: Literal["welcome"] = "welcome"
    version: int = PROTOCOL_VERSION
    journal: str
    producer: Producer
    durable: Sequence
    ports: dict[str, int] = Field(default_factory=dict)
    max_event_bytes: int


class Ack(Message):
    """Everything of a producer up to `durable` is on disk (under --fsync batch).

    Attributes:
        producer: id of the producer.
        durable: its last sequence number that is acknowledged.
        highest: the highest sequence number that arrived, perhaps out of order.
        full: whether the broker cannot write at the moment; it keeps what it has.
    """

    type: Literal["ack"] = "ack"
    producer: Producer
    durable: Sequence
    highest: Sequence
    full: bool = False


class Nak(Message):
    """Sequence numbers are missing: send them again.

    Attributes:
        producer: id of the producer.
        first: first missing number.
        last: last missing number.
    """

    type: Literal["nak"] = "nak"
    producer: Producer
    first: Sequence
    last: Sequence


class Probe(Message):
    """A producer asks how far the broker is, after a quiet time. Also its sign of life.

    Attributes:
        producer: id of the producer.
        token: its secret.
        last: the last sequence number that it sent.
        oldest: the oldest sequence number that it still holds.
    """

    type: Literal["probe"] = "probe"
    producer: Producer
    token: Token
    last: Sequence
    oldest: Sequence


class Bye(Message):
    """A producer ends in good order; answered by an `Ack` when everything is on disk.

    Attributes:
        producer: id of the producer.
        token: its secret.
        last: the last sequence number that it gave.
    """

    type: Literal["bye"] = "bye"
    producer: Producer
    token: Token
    last: Sequence


class Refused(Message):
    """The broker will not do it.

    Attributes:
        code: `token`, `version`, `unknown`, `name_taken`, `bad_request`, `journal`, `full`.
        text: one sentence for a person.
        producer: id of the producer that this is for, where it is for one.
    """

    type: Literal["refused"] = "refused"
    code: str
    text: str
    producer: str = ""
