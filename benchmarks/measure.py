"""Time single calls, and describe the times."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a call costs, in microseconds."""

    median: float
    p99: float
    worst: float

    @classmethod
    def of(cls, nanoseconds: list[int]) -> Cost:
        """Describe times of single calls."""
        ordered = sorted(nanoseconds)
        last = len(ordered) - 1
        places = (last // 2, round(last * 0.99), last)
        return cls(*(ordered[place] / 1000 for place in places))

    def __str__(self) -> str:
        return f"{self.median:10.1f} {self.p99:10.1f} {self.worst:12.1f}"


def cost_of(call: Callable[[int], object], count: int, pause: float) -> Cost:
    """Time `count` calls, which get their own number, with a pause before each.

    Args:
        call: what to time.
        count: how often.
        pause: seconds before each call; 0 for back to back.
    """
    gc.collect()
    times = []
    clock = time.perf_counter_ns
    for number in range(count):
        if pause:
            time.sleep(pause)
        before = clock()
        call(number)
        times.append(clock() - before)
    return Cost.of(times)
