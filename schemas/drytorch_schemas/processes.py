"""Whether a process of this host is there."""

from __future__ import annotations

import os


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
