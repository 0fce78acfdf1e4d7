"""Ctrl-C and SIGTERM in a command that works: finish what is at hand, then leave."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def on_signals() -> threading.Event:
    """Return an event that Ctrl-C or SIGTERM sets; a second Ctrl-C ends the process at once."""
    leaving = threading.Event()

    def leave(number: int, _frame: FrameType | None) -> None:
        leaving.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    return leaving
