"""The fixture `bus` for pytest: loaded by pytest itself, and light as long as nobody uses it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from drytorch_trackers.testing import Bus


@pytest.fixture
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """Let all runs of the test report into memory; ask it what they reported."""
    from drytorch_trackers.testing import in_memory_bus

    # a name only: nothing is made where nobody writes
    with in_memory_bus(tmp_path_factory.getbasetemp() / f"bus-{uuid.uuid4().hex}") as memory:
        yield memory
