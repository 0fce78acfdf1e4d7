"""Places on a host: folders of state, and where brokers listen."""

from __future__ import annotations

from drytorch_schemas.endpoint import (
    DEFAULT_PORT,
    MAX_SOCKET_PATH,
    Endpoint,
    EndpointFile,
    default_endpoint,
    read_endpoint,
    write_endpoint,
)
from drytorch_schemas.folders import (
    ENDPOINT_FILE,
    LOCK_FILE,
    check_private,
    fallback_runtime_dir,
    journal_dir,
    logs_dir,
    owed_dir,
    private_folder,
    runtime_dir,
    spool_dir,
    state_dir,
)

__all__ = [
    "DEFAULT_PORT",
    "ENDPOINT_FILE",
    "LOCK_FILE",
    "MAX_SOCKET_PATH",
    "Endpoint",
    "EndpointFile",
    "check_private",
    "default_endpoint",
    "fallback_runtime_dir",
    "journal_dir",
    "logs_dir",
    "owed_dir",
    "private_folder",
    "read_endpoint",
    "runtime_dir",
    "spool_dir",
    "state_dir",
    "write_endpoint",
]
