"""A log in memory: for tests of what stands on a log, and for brokers that need not remember."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from drytorch_broker.log import Slice, TopicKey, Wanted
from drytorch_schemas.records import ENVELOPE


class MemoryLog:
    """A `Log` that lasts as long as its process; made durable means made visible."""

    def __init__(self, journal_id: str | None = None) -> None:
        """Initialize.

        Args:
            journal_id: id of the journal; a random one by default.
        """
        self.journal_id = journal_id or uuid.uuid4().hex
        self.start = 0
        self.durable = 0
        self.size = 0
        self.rolls = 0
        self.damages: list[str] = []
        self._records: list[tuple[int, bytes, TopicKey | None]] = []

    @property
    def head(self) -> int:
        """The offset that the next appended record gets."""
        return self.start + len(self._records)

    def append(
        self, kind: int, payloads: Sequence[bytes], topics: Sequence[TopicKey | None]
    ) -> int:
        """Append records and return the offset of the first."""
        first = self.head
        self._records.extend(
            (kind, bytes(payload), topic) for payload, topic in zip(payloads, topics, strict=True)
        )
        return first

    def sync(self) -> None:
        """Make everything appended visible."""
        for _, payload, _ in self._records[self.durable - self.start :]:
            self.size += len(payload)
        self.durable = self.head

    def rollback(self) -> None:
        """Forget what was appended since the last `sync`."""
        del self._records[self.durable - self.start :]

    def read(
        self, start: int, end: int, wanted: Wanted | None, max_bytes: int, max_records: int
    ) -> Slice:
        """Return envelopes from an offset on."""
        start = max(start, self.start)
        end = min(end, self.durable)
        found = Slice(max(start, end))
        room = max_bytes
        for offset in range(start, end):
            kind, payload, topic = self._records[offset - self.start]
            if kind != ENVELOPE or topic is None or (wanted is not None and not wanted(topic)):
                continue
            if found.records and (len(payload) > room or len(found.records) >= max_records):
                found.covered_to = offset
                break
            found.records.append((offset, payload))
            room -= len(payload)
        return found

    def trim(self, before: int) -> int:
        """Remove what lies before an offset."""
        before = min(max(before, self.start), self.durable)
        removed = self._records[: before - self.start]
        del self._records[: before - self.start]
        self.size -= sum(len(payload) for _, payload, _ in removed)
        self.start = before
        return self.start

    def writable(self) -> bool:
        """Memory takes records as long as the process lives."""
        return True

    def close(self) -> None:
        """Forget what was not made visible."""
        self.rollback()
