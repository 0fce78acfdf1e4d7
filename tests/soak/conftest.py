"""A host of its own for each soak test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts import Host


@pytest.fixture
def host(tmp_path: Path, no_process_left_behind: None) -> Iterator[Host]:  # noqa: ARG001 - it looks last
    """Return a host whose processes end with the test."""
    host = Host(tmp_path)
    yield host
    host.stop()
