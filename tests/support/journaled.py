"""What the journal of a test's host holds, decoded."""

import socket
from collections import defaultdict
from pathlib import Path

from drytorch_schemas import records
from drytorch_schemas.envelope import Envelope, decode
from drytorch_schemas.journal_reader import Record, read
from hosts import Host


def journaled(host: Host, kind: str = "") -> list[Envelope]:
    """Return the envelopes in the journal of this host's own broker, in order.

    Args:
        host: the host.
        kind: only events of this kind.
    """
    folder = Path(host.environment["XDG_STATE_HOME"], "drytorch", socket.gethostname(), "journal")
    found = []
    for each in read(folder):
        assert isinstance(each, Record), each
        if each.kind == records.ENVELOPE:
            found.append(decode(each.payload))
    return [each for each in found if not kind or each.kind == kind]


def sequences(envelopes: list[Envelope]) -> dict[str, list[int]]:
    """Return each producer's sequence numbers in the order of the journal."""
    found: dict[str, list[int]] = defaultdict(list)
    for each in envelopes:
        if not each.origin.producer.startswith("broker-"):
            found[each.origin.producer].append(each.seq)
    return dict(found)


def assert_complete(envelopes: list[Envelope]) -> None:
    """Fail where a producer's numbers have a gap, a repetition or another order."""
    for producer, numbers in sequences(envelopes).items():
        assert numbers == list(range(1, len(numbers) + 1)), producer
