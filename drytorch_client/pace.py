"""The uplink's timers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """An uplink's timers, seconds; see `ClientConfig` for their meaning."""

    probe_after: float = 0.1
    probe_at_most: float = 2.0
    ping_every: float = 10.0
    hello_every: float = 0.2


class Timer:
    """Is due after a delay that doubles each time, until it is reset.

    Attributes:
        due: when it is due, seconds on the caller's clock.
    """

    def __init__(self, first: float, last: float) -> None:
        """Initialize; it is due at once.

        Args:
            first: the first delay, seconds.
            last: the longest delay, seconds.
        """
        self._first, self._last = first, last
        self._delay = first
        self.due = 0.0

    def reset(self, now: float, *, at_once: bool = False) -> None:
        """Begin with the first delay again.

        Args:
            now: the time, seconds.
            at_once: whether it is due now.
        """
        self._delay = self._first
        self.due = now if at_once else now + self._first

    def back_off(self, now: float) -> None:
        """Be due after the delay, and double it.

        Args:
            now: the time, seconds.
        """
        self.due = now + self._delay
        self._delay = min(2 * self._delay, self._last)
