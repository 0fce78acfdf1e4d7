"""The senders of this process: one for each set of options."""

from __future__ import annotations

from drytorch_client import process_exit
from drytorch_client.config import ClientConfig
from drytorch_client.sender import Sender


def get_sender(config: ClientConfig) -> Sender:
    """Return the sender of this process for these options, which lives until the process ends.

    Args:
        config: the client's options, not disabled.
    """
    return process_exit.share(config, Sender)
