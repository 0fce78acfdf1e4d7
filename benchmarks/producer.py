"""One producing process of the throughput benchmark: `python -m benchmarks.producer URL COUNT`.

It connects, says `ready`, waits for a line, emits, waits for the acknowledgement, and prints when
it began and when all was acknowledged.
"""

from __future__ import annotations

import sys
import time
import uuid

from benchmarks.subjects import make
from drytorch_client.config import ClientConfig
from drytorch_client.identity import RunIdentity
from drytorch_client.senders import get_sender


def main(url: str, count: int) -> None:
    """Emit `count` events as fast as they become durable."""
    sender = get_sender(ClientConfig(broker=url, on_full="block"))
    identity = RunIdentity("Bench", "run", uuid.uuid4().hex, 0, "host")
    sender.emit(make(0), identity)
    assert sender.flush(30), "the broker does not answer"
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    for number in range(count):
        sender.emit(make(number), identity)
    assert sender.flush(120), "not acknowledged"
    print(begun, time.monotonic(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
