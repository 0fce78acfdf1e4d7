"""Removing old segments, where the user asked for it; never unasked."""

from __future__ import annotations

import logging
import time
from itertools import pairwise
from pathlib import Path
from typing import Final
from zlib import crc32

from drytorch_broker import atomic_file
from drytorch_broker.state import State
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack

_log: Final = logging.getLogger(__name__)
#: How often to look, seconds.
LOOK_EVERY: Final = 30.0
#: From this share of the hard limit on, workers that lag do not hold segments back any more.
_HARD: Final = 0.95
_DAY_NS: Final = 86_400 * 10**9
_KEPT_FILE: Final = "context.kept"
_CRC_BYTES: Final = 4
_MAX_KEPT_BYTES: Final = 1 << 30


class Retention:
    """Removes what is too old or too much, and keeps the context of runs that go on."""

    def __init__(self, state: State) -> None:
        """Load the context that was kept before.

        Args:
            state: the broker's state.
        """
        self._state = state
        state.history.kept = _load(state.config.journal / _KEPT_FILE)

    def look(self) -> None:
        """Remove what may go now."""
        state = self._state
        before = self._cut(time.time_ns())
        floor = state.workers.lowest_cursor()
        if floor is not None and before > floor:
            if state.log.size < _HARD * state.config.max_bytes:
                before = floor
            else:
                _log.warning("the journal is full: records that a worker has not read are removed")
        segments = state.log.segments
        before = max((each.end for each in segments[:-1] if each.end <= before), default=0)
        if before <= state.log.start:
            return
        try:
            state.history.keep_context(before)
            _save(state.config.journal / _KEPT_FILE, state.history.kept)
            state.write_snapshot()  # else nobody knows the producers of what goes
            start = state.log.trim(before)
        except OSError as error:
            _log.warning("old segments are not removed: %s", error.strerror)
            return
        state.runs.forget_before(start)
        state.save_snapshot()
        _log.info("removed what lies before offset %d", start)

    def _cut(self, now_ns: int) -> int:
        """Return the offset before which everything is too old or too much."""
        config, log = self._state.config, self._state.log
        cut, size = 0, log.size
        for segment, following in pairwise(log.segments):
            too_much = config.keep_bytes and size > config.keep_bytes
            age_ns = now_ns - following.created  # all of the segment is at least that old
            too_old = config.max_age_days and age_ns > config.max_age_days * _DAY_NS
            if not (too_much or too_old):
                break
            cut = segment.end
            size -= segment.size
        return cut


def _save(path: Path, kept: dict[int, bytes]) -> None:
    packed = pack(list(kept.items()))
    data = packed + crc32(packed).to_bytes(_CRC_BYTES, "big")
    atomic_file.write(path, data, durable=True)


def _load(path: Path) -> dict[int, bytes]:
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    packed, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if crc32(packed).to_bytes(_CRC_BYTES, "big") == crc:
        try:
            rows = unpack(packed, _MAX_KEPT_BYTES)
            return {int(offset): bytes(payload) for offset, payload in rows}
        except (DecodingError, TypeError, ValueError):
            pass
    _log.error("%s is damaged: the context of runs that began before the journal is lost", path)
    return {}
