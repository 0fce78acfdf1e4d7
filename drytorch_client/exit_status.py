"""Whether the process ends well, as far as that can be known while its exit handlers run.

Python tells exit handlers of an error that nobody caught, but not of the code that `sys.exit` was
given. So `sys.exit` is wrapped, once a run is started outside of a `with` statement, by a function
that keeps its argument. What stays unknown: `raise SystemExit(1)` and the built-in `exit(1)`.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, ClassVar, NoReturn


class _Exit:
    """What `sys.exit` was called with last in the main thread; None before."""

    watched: ClassVar[bool] = False
    argument: ClassVar[Any] = None


def watch() -> None:
    """Keep what `sys.exit` is called with from now on."""
    if _Exit.watched:
        return
    _Exit.watched = True
    leave = sys.exit

    def keep_and_exit(status: Any = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():
            _Exit.argument = status
        leave(status)

    keep_and_exit.__doc__ = leave.__doc__
    sys.exit = keep_and_exit


def has_failed() -> bool:
    """Tell, in an exit handler, whether the process ends with an error, as far as that is known."""
    if _is_failure(_Exit.argument):
        return True
    under_way = sys.exc_info()[1]  # a child of multiprocessing runs its handlers on the way out
    if isinstance(under_way, SystemExit):
        return _is_failure(under_way.code)
    if under_way is not None:
        return True
    # an interactive session keeps its last error, and goes on
    return getattr(sys, "last_value", None) is not None and not hasattr(sys, "ps1")


def _is_failure(status: Any) -> bool:
    return status is not None and status != 0
