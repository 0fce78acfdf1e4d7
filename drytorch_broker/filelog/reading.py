"""Reading from segments by offset and topic, with a few indexes kept in memory."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import Final

from drytorch_broker.batch import BatchReader
from drytorch_broker.filelog.index import SegmentIndex
from drytorch_broker.filelog.scan import scan_segment
from drytorch_broker.filelog.segment import Segment
from drytorch_broker.log import Slice, Wanted

_log: Final = logging.getLogger(__name__)
_INDEXES_IN_MEMORY: Final = 8
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
        self._cache: OrderedDict[int, SegmentIndex] = OrderedDict()
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
        self._cache[first] = index
        self._cache.move_to_end(first)
        while len(self._cache) > _INDEXES_IN_MEMORY:
            self._cache.popitem(last=False)

    def forget(self, first: int) -> None:
        """Drop the index of a segment that is gone."""
        self._cache.pop(first, None)

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
