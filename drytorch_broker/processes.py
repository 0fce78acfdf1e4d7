"""The end of a process of this host."""

from __future__ import annotations

import os
import select


def wait_for_end(pid: int, within: float) -> None:
    """Wait until a process has ended, be it a child that nobody has waited for yet.

    Where the system has no pidfd (it is not Linux) this does not wait.

    Args:
        pid: its number.
        within: how long to wait, seconds.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # no such call, or no such process any more
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(within * 1000)
    finally:
        os.close(descriptor)
