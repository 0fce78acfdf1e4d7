"""Whether a process of this host is there, and its end."""

from __future__ import annotations

import os
import select


def is_running(pid: int) -> bool:
    """Tell whether a process is there, be it frozen or somebody else's.

    Args:
        pid: its number.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


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
