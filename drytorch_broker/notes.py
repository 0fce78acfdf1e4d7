"""Payloads of the broker's own records in the journal (kind 2)."""

from __future__ import annotations

from drytorch_broker.producers import Producer
from drytorch_schemas.packing import pack


def of_producer(producer: Producer) -> bytes:
    """Return the note that keeps a producer's secret, so that nobody else can write as it later.

    Args:
        producer: the producer.
    """
    return pack(
        {
            "note": "producer",
            "producer": producer.id,
            "token": producer.token,
            "host": producer.host,
        }
    )


def of_elsewhere(producer: str, first: int, last: int) -> bytes:
    """Return the note on events that the producer no longer holds and that are not here.

    Args:
        producer: id of the producer.
        first: sequence number of the first.
        last: sequence number of the last.
    """
    return pack({"note": "elsewhere", "producer": producer, "first": first, "last": last})
