"""Where the broker listens that a client talks to."""

from __future__ import annotations

import contextlib

from drytorch_client.config import ClientConfig
from drytorch_schemas.endpoint import Endpoint, default_endpoint, read_endpoint
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import LOCK_FILE, journal_dir
from drytorch_schemas.locks import FileLock


def local_broker_runs() -> bool:
    """Tell whether this user's own broker on this host is alive."""
    with contextlib.suppress(OSError, SchemaError):
        return FileLock.held_by_other(journal_dir() / LOCK_FILE)
    return False


def local_endpoint() -> Endpoint:
    """Return where this user's own broker listens, or will listen when it is started.

    A living one that was started with another runtime folder or URL says where it is.
    """
    folder = journal_dir()
    found = read_endpoint(folder)
    if found is not None and local_broker_runs():
        with contextlib.suppress(SchemaError):
            return Endpoint.from_url(found.url)
    return default_endpoint(folder)


def endpoint_of(config: ClientConfig) -> Endpoint:
    """Return where the broker listens that the options name.

    Args:
        config: the client's options, not disabled.
    """
    return Endpoint.from_url(config.broker) if config.broker else local_endpoint()
