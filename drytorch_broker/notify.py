"""Telling systemd how the broker is doing (sd_notify), where it asks for that."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(text: str) -> None:
    """Send a state to the service manager; nothing happens without one.

    Args:
        text: for example `READY=1`.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
    ):
        manager.sendto(text.encode(), address)
