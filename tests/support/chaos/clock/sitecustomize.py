"""A clock that jumps: wall-clock time is shifted by the seconds in the file $CHAOS_CLOCK.

It is found by its name in every process of a round, since its folder is on PYTHONPATH.
"""

import os
import time

_FILE = os.environ.get("CHAOS_CLOCK", "")
_time, _time_ns, _monotonic = time.time, time.time_ns, time.monotonic
_shift = 0
_looked = -1.0


def _seconds() -> int:
    global _shift, _looked  # noqa: PLW0603 - a module that patches another has no better place
    now = _monotonic()
    if now - _looked > 0.1:
        _looked = now
        try:
            with open(_FILE) as file:  # noqa: PTH123 - as little as possible is imported here
                _shift = int(file.read() or 0)
        except (OSError, ValueError):
            pass
    return _shift


if _FILE:
    time.time = lambda: _time() + _seconds()
    time.time_ns = lambda: _time_ns() + _seconds() * 1_000_000_000
