"""Feeds trackers from a journal that is there already: files, or what a broker holds now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drytorch_schemas.envelope import check
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import unpack
from drytorch_schemas.topics import TopicFilter
from drytorch_trackers.base import Tracker, TrackerContext
from drytorch_trackers.engine import Engine
from drytorch_trackers.errors import InterruptedWorkError
from drytorch_trackers.hosted import Pace
from drytorch_trackers.sink import Letter

_LONGEST_PAUSE: Final = 3600.0
_FLUSH_SECONDS: Final = 5.0


class _NoSink:
    """Keeps nothing: a replay is repeated as a whole, and trackers know what they had."""

    def __init__(self) -> None:
        self.letters = 0

    def put_aside(self, letters: Sequence[Letter]) -> None:
        """Count dead letters; each was told already."""
        self.letters += len(letters)

    def commit(self, cursor: int, last_error: str) -> None:
        """Keep no cursor."""

    def history(self, run: str, before: int, *, whole: bool) -> Iterable[tuple[int, bytes]]:  # noqa: ARG002  # the seam's names
        """Know nothing before the first record."""
        return ()


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is replayed, whereto and how fast.

    Attributes:
        par_dir: folder to write under.
        wanted: which runs.
        speed: times the original pace; 0 for as fast as possible.
        terminal: whether the output is a terminal.
    """

    par_dir: Path
    wanted: TopicFilter = field(default_factory=TopicFilter)
    speed: float = 0.0
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay went.

    Attributes:
        events: events that were given to trackers.
        runs: runs that these belong to.
        failures: events that could not be handled, and trackers that were stopped.
        interrupted: whether it was asked to stop before the end.
    """

    events: int
    runs: int
    failures: int
    interrupted: bool


def replay(
    records: Iterable[tuple[int, bytes]],
    trackers: Mapping[str, Tracker],
    options: ReplayOptions,
    *,
    pace: Pace,
    warn: Callable[[str], None],
) -> Replayed:
    """Give records to trackers, then flush and clean up.

    Args:
        records: offsets and encoded envelopes, in order.
        trackers: the trackers by name.
        options: what, whereto, how fast.
        pace: where time comes from.
        warn: takes a line when a tracker fails.

    Raises:
        FolderTakenError: a living worker writes to a run's folder.
        WorkError: the records cannot be read.
    """
    engine = Engine(trackers, _NoSink(), filters=(options.wanted,), pace=pace, on_failure=warn)
    engine.setup(TrackerContext(options.par_dir, "", options.terminal))
    try:
        interrupted = _feed(engine, records, options, pace)
    finally:
        engine.clean_up()
    return Replayed(engine.handled, engine.runs.met, engine.failures, interrupted)


def _feed(
    engine: Engine, records: Iterable[tuple[int, bytes]], options: ReplayOptions, pace: Pace
) -> bool:
    wait = _Metronome(options, pace) if options.speed else None
    flushed = time.monotonic()
    try:
        for offset, payload in records:
            if wait is not None:
                wait(payload)
            if pace.leaving() or not engine.alive:
                break
            engine.handle(offset, payload)
            if engine.commit_is_due or time.monotonic() - flushed > _FLUSH_SECONDS:
                engine.commit(0)
                flushed = time.monotonic()
        engine.commit(0)
    except InterruptedWorkError:
        engine.pending.clear()
    return pace.leaving()


class _Metronome:
    """Waits as long as the training took between two events, divided by the speed."""

    def __init__(self, options: ReplayOptions, pace: Pace) -> None:
        self._speed = options.speed
        self._wanted = options.wanted
        self._pace = pace
        self._last = 0

    def __call__(self, payload: bytes) -> None:
        try:
            wire = check(unpack(payload))
        except DecodingError:
            return
        now: int = wire["time"]
        if not self._wanted.matches_run(wire["experiment"], wire["run_id"], wire["run"]):
            return
        if self._last and now > self._last:
            pause = (now - self._last) / 1e9 / self._speed
            self._pace.sleep(min(pause, _LONGEST_PAUSE))
        self._last = max(now, self._last)
