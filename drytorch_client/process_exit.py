"""The senders of this process, their end with the process, and their new beginning in a child."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from drytorch_client import messages

if TYPE_CHECKING:
    from drytorch_client.config import ClientConfig
    from drytorch_client.sender import Sender


#: Before what multiprocessing itself does at the end.
_EXIT_PRIORITY: Final = 10


class _Process:
    """What this module remembers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.senders: dict[ClientConfig, Sender] = {}
        self.kept: list[object] = []
        self.hooked = False


_PROCESS: Final = _Process()


def share(config: ClientConfig, make: Callable[[ClientConfig], Sender]) -> Sender:
    """Return the one sender of this process for these options; close it when the process ends.

    Args:
        config: the client's options.
        make: makes the sender where there is none yet.
    """
    with _PROCESS.lock:
        sender = _PROCESS.senders.get(config)
        if sender is None:
            sender = _PROCESS.senders[config] = make(config)
            if not _PROCESS.hooked:
                _PROCESS.hooked = True
                atexit.register(close_all)
        return sender


def forget(sender: Sender) -> None:
    """Let the next `share` make a new one.

    Args:
        sender: a sender that is closed.
    """
    with _PROCESS.lock:
        if _PROCESS.senders.get(sender.config) is sender:
            del _PROCESS.senders[sender.config]


def keep_forever(thing: object) -> None:
    """Keep a parent's sockets from being finalized in a forked child.

    Args:
        thing: what holds them.
    """
    _PROCESS.kept.append(thing)


def enroll(sender: Sender) -> None:
    """Close a child's sender when the child ends the way that multiprocessing ends it.

    Such a child runs no exit handlers but those of multiprocessing.

    Args:
        sender: the child's sender.
    """
    at_child_end(sender.close, _EXIT_PRIORITY)


def at_child_end(
    do: Callable[[], object], priority: int = _EXIT_PRIORITY + 1
) -> Callable[[], object]:
    """Call something when this process ends, where that is a child of multiprocessing.

    Args:
        do: what to call.
        priority: the highest is called first.

    Returns:
        What takes it back.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return lambda: None
    from multiprocessing.util import Finalize

    return Finalize(None, do, exitpriority=priority).cancel


def close_all() -> None:
    """Close all senders, and say in one line what is still to be delivered."""
    for sender in list(_PROCESS.senders.values()):
        sender.close()
        status = sender.status()
        if status.lost:
            messages.say_lost(status.lost, status.url, status.spool)
        elif sender.untold:
            messages.say_left(sender.untold, status.url, status.spool)


def _after_fork() -> None:
    _PROCESS.lock = threading.RLock()
    for sender in _PROCESS.senders.values():
        sender.after_fork()


os.register_at_fork(after_in_child=_after_fork)
