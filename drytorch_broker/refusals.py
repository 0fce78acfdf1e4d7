"""The answers to producers whose messages the broker will not follow."""

from __future__ import annotations

import hmac

from drytorch_broker.producers import Producer
from drytorch_schemas.control import Hello, Refused
from drytorch_schemas.limits import PROTOCOL_VERSION

#: Producers of this prefix are brokers: their notes on lost and found runs carry it.
BROKER_PREFIX = "broker-"


def same_token(producer: Producer, token: bytes) -> bool:
    """Tell whether a token is the producer's, in a time that does not depend on the difference."""
    return hmac.compare_digest(producer.token, token)


def of_hello(hello: Hello, known: Producer | None) -> Refused | None:
    """Return why a hello is refused, None where it is not.

    Args:
        hello: the message.
        known: what is known of its producer.
    """
    if hello.version > PROTOCOL_VERSION:
        text = f"this broker speaks protocol version {PROTOCOL_VERSION}: update drytorch-bus there"
        return Refused(id=hello.id, code="version", text=text, producer=hello.producer)
    if hello.producer.startswith(BROKER_PREFIX):
        text = f"ids that begin with {BROKER_PREFIX} are the brokers' own: take another one"
        return Refused(id=hello.id, code="bad_request", text=text, producer=hello.producer)
    if known is not None and known.token and not same_token(known, hello.token):
        return wrong_token(hello.id, hello.producer)
    return None


def unknown(message_id: int, name: str) -> Refused:
    """Return the refusal of a producer that did not say hello since the journal began."""
    text = "this producer is not known here: say hello first"
    return Refused(id=message_id, code="unknown", text=text, producer=name)


def wrong_token(message_id: int, name: str) -> Refused:
    """Return the refusal of somebody who does not know a producer's secret."""
    text = "this producer has another token: nobody else can write under its id"
    return Refused(id=message_id, code="token", text=text, producer=name)
