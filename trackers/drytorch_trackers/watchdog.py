"""Ends a worker whose tracker hangs: a thread, since the loop itself cannot look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drytorch_trackers import exit_codes
from drytorch_trackers.engine import Engine
from drytorch_trackers.feed import Feed

_PERIOD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a worker may take, in seconds; 0 for as long as it likes.

    Attributes:
        stuck: nothing finished by a tracker although the runs are over.
        away: nothing finished by a tracker and no broker.
        leave: from being asked to leave to having left.
    """

    stuck: float = 30.0
    away: float = 45.0
    leave: float = 15.0


class Watchdog(threading.Thread):
    """Looks whether the trackers finish anything, and ends the process when there is no point."""

    def __init__(
        self,
        feed: Feed,
        engine: Engine,
        limits: Limits,
        *,
        runs_over: Callable[[], bool | None],
        leaving: Callable[[], bool],
        end: Callable[[int, str], None],
        holds_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Initialize.

        Args:
            feed: the loop, which says when it only waits.
            engine: counts what trackers finished.
            limits: how long is too long.
            runs_over: whether the runs are over in the journal; None where no broker answers.
            leaving: whether the worker is asked to leave.
            end: ends the process with a code and a reason.
            holds_up: whether a tracker that hangs holds up others, which could go on elsewhere.
        """
        super().__init__(name="drytorch-watchdog", daemon=True)
        self._feed = feed
        self._engine = engine
        self._limits = limits
        self._runs_over = runs_over
        self._leaving = leaving
        self._end = end
        self._holds_up = holds_up
        self._done = threading.Event()

    def run(self) -> None:
        """Look twice a second until `close`."""
        moved_at = time.monotonic()
        asked_at = None
        finished = self._engine.finished
        while not self._done.wait(_PERIOD):
            now = time.monotonic()
            if self._feed.idle or self._engine.finished != finished:
                finished, moved_at = self._engine.finished, now
            if self._leaving():
                asked_at = asked_at or now
                if self._limits.leave and now - asked_at > self._limits.leave:
                    self._end(exit_codes.DEAD_LETTERS, "a tracker does not finish")
            self._judge(now - moved_at)

    def close(self) -> None:
        """Stop looking."""
        self._done.set()

    def _judge(self, stuck: float) -> None:
        """End the process where a tracker has been stuck for too long for a reason to wait."""
        limits = self._limits
        if not limits.stuck or stuck <= limits.stuck:
            return
        if self._holds_up():
            reason = f"a tracker finished nothing for {stuck:.0f} s and holds up the others"
            self._end(exit_codes.UNAVAILABLE, reason)
        over = self._runs_over()
        if over:
            reason = f"a tracker finished nothing for {stuck:.0f} s although its run is over"
            self._end(exit_codes.DEAD_LETTERS, reason)
        elif over is None and limits.away and stuck > limits.away:
            reason = f"a tracker finished nothing for {stuck:.0f} s and no broker answers"
            self._end(exit_codes.UNAVAILABLE, reason)
