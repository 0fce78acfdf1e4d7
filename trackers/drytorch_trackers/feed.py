"""The loop between a source and the engine: fetch, handle, commit, wait, and when to leave."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drytorch_trackers.engine import Engine
from drytorch_trackers.errors import InterruptedWorkError, SourceAwayError
from drytorch_trackers.source import Chunk, Source

_AWAY_PAUSE: Final = 0.3


class Ending(enum.Enum):
    """Why a feed ended."""

    DONE = "the runs are over and handled"
    ASKED = "asked to leave"
    STOPPED = "no tracker is left that works"
    AWAY = "no broker"
    ORPHANED = "the training is gone and nothing of its run is in the journal"


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """When the loop commits and when it leaves.

    Attributes:
        follow: wait for further runs when all are over.
        heartbeat_seconds: a fetch is due after this time without a doorbell.
        first_seconds: the same right after the broker has answered for the first time, or again:
            doorbells may not come yet. Doubles to `heartbeat_seconds`.
        commit_seconds: least time between two commits while events are handled.
        life_seconds: a commit is due after this time also without events, as a sign of life.
        away_seconds: leave after this time without a broker; 0 for never.
        finish_seconds: time to finish what was fetched when asked to leave.
    """

    follow: bool = False
    heartbeat_seconds: float = 1.0
    first_seconds: float = 0.05
    commit_seconds: float = 0.5
    life_seconds: float = 5.0
    away_seconds: float = 45.0
    finish_seconds: float = 5.0


@dataclass(slots=True)
class Surroundings:
    """What the loop needs of the process around it.

    Attributes:
        clock: monotonic seconds.
        leaving: whether the process is asked to leave.
        orphaned: whether whoever started this worker is gone.
        lives: whether a producer is alive on this host, although the broker says that it is lost.
        note: takes a line for a person.
    """

    clock: Callable[[], float]
    leaving: Callable[[], bool] = lambda: False
    orphaned: Callable[[], bool] = lambda: False
    lives: Callable[[str], bool] = lambda _producer: False
    note: Callable[[str], None] = lambda _text: None


class Feed:
    """Feeds an engine from a source until there is a reason to leave.

    Attributes:
        idle: whether it waits for news; a watchdog looks at it.
        position: everything below this offset is handled.
    """

    def __init__(
        self, source: Source, engine: Engine, options: FeedOptions, around: Surroundings
    ) -> None:
        self.idle = True
        self.position = 0
        self._source = source
        self._engine = engine
        self._options = options
        self._around = around
        self._attached = False
        self._began_at = self._committed_at = self._answered_at = around.clock()
        self._handled = 0
        self._longest = options.first_seconds
        self._told = False
        self._kept_and_over = False
        self._journal = ""
        self._strange_since: float | None = None

    def run(self) -> Ending:
        """Feed until the end, then flush, commit, clean up and detach."""
        ending = self._loop()
        self.idle = False
        kept = self._keep(ending)
        self._engine.clean_up()
        if self._attached and ending is not Ending.AWAY:
            with contextlib.suppress(SourceAwayError):
                nobody = not self._engine.hosted  # all go on elsewhere
                self._source.detach(done=kept is Ending.DONE or nobody)
        return kept

    def _keep(self, ending: Ending) -> Ending:
        """Flush and commit for the last time; what could not be committed comes again."""
        try:
            if ending is Ending.AWAY or not self._attached:
                self._engine.flush()
            elif not self._commit() and ending is Ending.DONE:
                return Ending.STOPPED
        except SourceAwayError:
            return Ending.AWAY if ending is Ending.DONE else ending
        except InterruptedWorkError:
            return Ending.ASKED
        return ending

    def _loop(self) -> Ending:
        while True:
            if self._around.leaving():
                return Ending.ASKED
            if not self._engine.alive:
                return Ending.STOPPED
            try:
                ending = self._step()
            except InterruptedWorkError:
                return Ending.ASKED
            except SourceAwayError:
                ending = self._away()
            else:
                self._answered_at = self._around.clock()
            if ending is not None:
                return ending

    def _step(self) -> Ending | None:
        self.idle = False
        if not self._attached:
            self._attach()
        chunk = self._source.fetch(self.position)
        if self._source.journal != self._journal:
            self._journal, self._strange_since = self._source.journal, self._around.clock()
        if chunk.records:  # somebody has sent the run again
            self._strange_since = None
        self._handle(chunk)
        if not chunk.caught_up or self._around.leaving():
            return None
        for envelope in self._source.live():
            self._engine.handle_live(envelope)
        if (ending := self._over()) is not None:
            return ending
        self._commit_if_due()
        self.idle = True
        self._source.wait(self._patience())
        return None

    def _attach(self) -> None:
        self._source.attach()
        self.position = self._source.position
        for run in self._source.open_runs():
            self._engine.catch_up(run, self.position)
        if self._source.kept and not self._engine.runs.met:
            self._kept_and_over = self._source.has_runs()
        self._journal = self._source.journal
        self._attached = True

    def _handle(self, chunk: Chunk) -> None:
        asked_at = None
        for offset, payload in chunk.records:
            self._engine.handle(offset, payload)
            self.position = offset + 1
            self._commit_if_due()
            if not self._engine.alive:
                return
            if self._around.leaving():
                asked_at = asked_at or self._around.clock()
                if self._around.clock() - asked_at > self._options.finish_seconds:
                    return
        self.position = chunk.covered_to

    def _over(self) -> Ending | None:
        runs = self._engine.runs
        if not runs.met or not self._engine.boundary.met:
            return self._nothing_yet()
        if not runs.all_over or self._options.follow:
            return self._in_strange_journal()
        # a laptop that slept is lost to a broker elsewhere, and comes back
        if any(self._around.lives(producer) for producer in runs.lost_producers):
            return None
        return Ending.DONE

    def _nothing_yet(self) -> Ending | None:
        if self._kept_and_over and not self._options.follow:
            return Ending.DONE
        if not self._told:
            self._told = True
            self._around.note("No run matches yet: waiting for one.")
        waited = self._around.clock() - self._began_at
        limit = self._options.away_seconds
        if limit and waited > limit and self._around.orphaned():
            return Ending.ORPHANED
        return None

    def _in_strange_journal(self) -> Ending | None:
        """Leave when the journal was replaced by one in which the open runs will never be."""
        if self._strange_since is None or self._options.follow:
            return None
        waited, limit = self._around.clock() - self._strange_since, self._options.away_seconds
        if limit and waited > limit and self._around.orphaned():
            return Ending.ORPHANED
        return None

    def _commit_if_due(self) -> None:
        since = self._around.clock() - self._committed_at
        news = self._engine.handled != self._handled
        limit = self._options.commit_seconds if news else self._options.life_seconds
        if since >= limit or self._engine.commit_is_due:
            self._commit()

    def _commit(self) -> bool:
        kept = self._engine.commit(self.position)
        self._handled = self._engine.handled
        self._committed_at = self._around.clock()
        return kept

    def _patience(self) -> float:
        longest = min(self._longest, self._options.heartbeat_seconds)
        self._longest = 2 * longest
        if self._engine.handled == self._handled:
            return longest
        since = self._around.clock() - self._committed_at
        return max(0.0, min(longest, self._options.commit_seconds - since))

    def _away(self) -> Ending | None:
        limit = self._options.away_seconds
        if limit and self._around.clock() - self._answered_at > limit:
            return Ending.AWAY
        self._longest = self._options.first_seconds
        self.idle = True
        self._source.wait(_AWAY_PAUSE)
        return None
