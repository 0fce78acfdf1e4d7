"""The CSV tracker is killed inside every step of writing, and its files come out the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import csv_child
from csv_child import EVENTS, feed_from
from deliveries import deliver, files
from drytorch_schemas.failpoints import VARIABLE, Failpoints
from drytorch_trackers import CSVDumper, Delivery, TrackerContext

POINTS = ["csv.noted", "csv.row", "csv.written", "csv.synced", "rewrite.ready", "rewrite.moved"]
SUPPORT = Path(csv_child.__file__).parent


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a tracker that nobody kills."""
    folder = tmp_path_factory.mktemp("calm")
    feed_from(folder, 0)
    written = files(folder)
    assert len(written) == 3
    return written


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_killed_process(tmp_path: Path, expected: dict[str, bytes], point: str, count: int) -> None:
    """Killed at a named place and started again at its cursor, it leaves the same files (D2)."""
    command = [sys.executable, str(SUPPORT / "csv_child.py"), str(tmp_path), "0"]
    environment = os.environ | {VARIABLE: f"{point}:{count}"}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    cursor = tmp_path / "cursor"
    feed_from(tmp_path, int(cursor.read_text()) if cursor.exists() else 0)
    assert files(tmp_path) == expected


class Killed(BaseException):
    """Stands for a kill in a test that needs many."""


class Countdown(Failpoints):
    """Stops the tracker at the n-th place that it passes, whatever its name."""

    def __init__(self, left: int) -> None:
        self.left = left

    def hit(self, name: str) -> None:
        """Count down."""
        del name
        self.left -= 1
        if self.left == 0:
            raise Killed

    def torn(self, name: str, file: BinaryIO, data: bytes) -> None:
        """Count down, and leave a third of the data behind."""
        del name
        self.left -= 1
        if self.left == 0:
            file.write(data[: len(data) // 3])
            raise Killed


def work(par_dir: Path, deliveries: Iterable[Delivery], failpoints: Failpoints | None) -> None:
    """Handle deliveries with a flush after every third, as a worker does."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(par_dir, "worker"))
    tracker._failpoints = failpoints
    try:
        for number, delivery in enumerate(deliveries):
            tracker.handle(delivery)
            if number % 3 == 2:
                tracker.flush()
        tracker.flush()
    finally:
        if tracker._folders is not None:
            tracker._folders.release_all()  # as the kernel does


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kills=st.lists(st.integers(1, 40), max_size=4),
    back=st.lists(st.integers(0, 12), min_size=4, max_size=4),
)
def test_killed_again_and_again(
    tmp_path_factory: pytest.TempPathFactory,
    expected: dict[str, bytes],
    kills: list[int],
    back: list[int],
) -> None:
    """However often it is stopped, also while it repairs, going on from before gives the files."""
    folder = tmp_path_factory.mktemp("killed")
    deliveries = deliver(EVENTS)
    first = 0
    for left, repeated in zip(kills, back, strict=False):
        handled = _until_killed(folder, deliveries[first:], left)
        first = max(0, min(first + handled - repeated, len(deliveries)) // 3 * 3)
    work(folder, deliveries[first:], None)
    assert files(folder) == expected


def _until_killed(folder: Path, deliveries: list[Delivery], left: int) -> int:
    """Return how many deliveries were handled before the kill."""
    seen: list[Delivery] = []
    try:
        work(folder, _noting(deliveries, seen), Countdown(left))
    except Killed:
        return max(0, len(seen) - 1)
    return len(deliveries)


def _noting(deliveries: list[Delivery], seen: list[Delivery]) -> Iterator[Delivery]:
    for delivery in deliveries:
        seen.append(delivery)
        yield delivery
