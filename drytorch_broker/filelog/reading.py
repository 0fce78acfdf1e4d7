"""Reading from segments by offset and topic, with a few indexes kept in memory."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Final

from drytorch_broker.batch import BatchReader
from drytorch_broker.filelog.index import SegmentIndex
from drytorch_broker.filelog.scan import scan_segment
from drytorch_broker.filelog.segment import Segment
from drytorch_broker.log import Slice, Wanted

_log: Final = logging.getLogger(__name__)
#: Most memory that indexes of closed segments take, bytes; one takes about 2 MiB.
_INDEX_BYTES: Final = 48 << 20
#: Most records that one read looks at: a reader for which nothing matches must not hold up others.
_MAX_SCAN: Final = 500_000
_MAX_REMEMBERED_DAMAGE: Final = 1000


class SegmentReader:
    """Serves records of a list of segments.

    Attributes:
        damaged: records that were found damaged while they were read, by offset.
    """

    def __init__(self) -> None:
        """Initialize."""
        self.damaged: dict[int, str] = {}
        self._cache: dict[int, SegmentIndex] = {}  # the one that was used last at the end
        self._cached = 0
        self._topics = BatchReader()

    def read(
        self,
        segments: Sequence[Segment],
        bounds: tuple[int, int],
        wanted: Wanted | None,
        max_bytes: int,
        max_records: int,
    ) -> Slice:
        """Return envelopes.

        Args:
            segments: all segments in offset order.
            bounds: first offset, and the offset before which to stop.
            wanted: which topics; None for all.
            max_bytes: most bytes of payload (the first record may be larger).
            max_records: most records.

        Raises:
            OSError: a file cannot be read.
        """
        start, end = bounds[0], min(bounds[1], bounds[0] + _MAX_SCAN)
        found = Slice(max(start, end))
        room = max_bytes
        at = max(bisect_right(segments, start, key=lambda segment: segment.first) - 1, 0)
        for segment in segments[at:]:
            if segment.first >= end:
                break
            index = self._index_of(segment)
            places = index.matching(
                max(start - segment.first, 0), min(end, segment.end) - segment.first, wanted
            )
            few = islice(places, max_records - len(found.records) + 1)
            for offset, payload in segment.payloads(index, few, self._note_damage):
                if found.records and (len(payload) > room or len(found.records) >= max_records):
                    found.covered_to = offset
                    return found
                found.records.append((offset, payload))
                room -= len(payload)
        return found

    def remember(self, first: int, index: SegmentIndex) -> None:
        """Keep a closed segment's index for a while.

        Args:
            first: the segment's first offset.
            index: its index.
        """
        self.forget(first)
        self._cache[first] = index
        self._cached += index.memory
        while self._cached > _INDEX_BYTES and len(self._cache) > 1:
            self.forget(next(iter(self._cache)))

    def forget(self, first: int) -> None:
        """Drop the index of a segment that is gone."""
        if (index := self._cache.pop(first, None)) is not None:
            self._cached -= index.memory

    def _index_of(self, segment: Segment) -> SegmentIndex:
        if segment.index is not None:
            return segment.index
        index = self._cache.get(segment.first) or segment.loaded()
        if index is None:  # somebody removed the side file
            index = scan_segment(segment.path, self._topics).index
        self.remember(segment.first, index)
        return index

    def _note_damage(self, offset: int, reason: str) -> None:
        if offset not in self.damaged and len(self.damaged) < _MAX_REMEMBERED_DAMAGE:
            self.damaged[offset] = reason
            _log.error("offset %d cannot be read: %s", offset, reason)
