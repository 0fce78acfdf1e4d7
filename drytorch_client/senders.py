"""The senders of this process: one for each set of options."""

from __future__ import annotations

from drytorch_client import process_exit
from drytorch_client.config import ClientConfig
from drytorch_client.in_memory import InMemory, MemorySender
from drytorch_client.sender import Sender

AnySender = Sender | MemorySender


def get_sender(config: ClientConfig) -> AnySender:
    """Return the sender of this process for these options, which lives until the process ends.

    While a test has all runs report into memory it is the one that keeps the events there.

    Args:
        config: the client's options, not disabled.
    """
    memory = InMemory.active()
    if memory is not None:
        return memory.sender
    return process_exit.share(config, Sender)
