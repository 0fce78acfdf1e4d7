"""The YAML tracker is killed inside every step of writing, and its files come out the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import yaml_child
from deliveries import deliver, files
from drytorch_schemas.failpoints import VARIABLE, Failpoints
from drytorch_trackers import TrackerContext, YamlDumper, durable
from yaml_child import EVENTS, feed_from

POINTS = ["whole.torn", "whole.ready", "whole.moved"]
FILES = "metadata/**/*"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a tracker that nobody kills."""
    folder = tmp_path_factory.mktemp("calm")
    feed_from(folder, 0)
    written = files(folder, FILES)
    assert len(written) == 7
    assert not any(name.endswith(".new") for name in written)
    return written


@pytest.mark.parametrize("count", [1, 6])  # the sixth write replaces a file
@pytest.mark.parametrize("point", POINTS)
def test_killed_process(tmp_path: Path, expected: dict[str, bytes], point: str, count: int) -> None:
    """Killed at a named place it leaves whole files only; started again it leaves all of them."""
    command = [sys.executable, yaml_child.__file__, str(tmp_path), "0"]
    environment = os.environ | {VARIABLE: f"{point}:{count}"}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = files(tmp_path, FILES)
    whole = {name for name in left if not name.endswith(".new")}
    assert len(whole) == (5 if count == 6 else point == "whole.moved")
    assert len(left) == len(whole) + (point != "whole.moved")
    cursor = tmp_path / "cursor"
    feed_from(tmp_path, int(cursor.read_text()) if cursor.exists() else 0)
    assert files(tmp_path, FILES) == expected


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


def work(par_dir: Path, first: int, failpoints: Failpoints | None) -> int:
    """Handle the events from one on; return how many are safe."""
    tracker = YamlDumper()
    tracker.setup(TrackerContext(par_dir))
    tracker._failpoints = failpoints
    safe = first
    try:
        for number, delivery in enumerate(deliver(EVENTS)):
            tracker.handle(delivery)
            if number % 3 == 2:
                tracker.flush()
                safe = max(safe, number + 1)
    except Killed:
        pass
    finally:
        assert tracker._folders is not None
        tracker._folders.release_all()  # as the kernel does
    return safe


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kills=st.lists(st.integers(1, 24), max_size=4))
def test_killed_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, expected: dict[str, bytes], kills: list[int]
) -> None:
    """However often it is stopped, what is there is whole, and in the end all is there."""
    folder = tmp_path_factory.mktemp("killed")
    versions: dict[str, set[bytes]] = {}
    safe = 0
    for left in kills:
        safe = work(folder, safe, Countdown(left))
        for name, data in files(folder, FILES).items():
            if not name.endswith(".new"):
                versions.setdefault(name, set()).add(data)
    work(folder, safe, None)
    assert files(folder, FILES) == expected
    for name, seen in versions.items():
        others = seen - {expected[name]}
        assert not others or ("extended_" in name and all(b"seed: 1" in data for data in others))


def test_what_is_committed_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush follows only after contents and all new names are on disk, in this order."""
    synced: list[Path] = []
    replaced: list[Path] = []

    def sync_file(path: Path) -> None:
        assert path.stat().st_size > 0
        synced.append(path)

    original = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path.suffix == ".new" and target.suffix == ".yaml":
            assert path in synced
            replaced.append(target)
        return original(path, target)

    monkeypatch.setattr(durable, "sync_file", sync_file)
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    monkeypatch.setattr(Path, "replace", replace)
    tracker = YamlDumper()
    tracker.setup(TrackerContext(tmp_path))
    for delivery in deliver(EVENTS[:3]):
        tracker.handle(delivery)
    assert len(replaced) == 3
    synced.clear()
    tracker.flush()
    run = tmp_path / "metadata/Exp/2025-08-01/12h54m21s"
    above = {run, *(each for each in run.parents if each.is_relative_to(tmp_path))}
    assert set(synced) == above | {each.parent for each in replaced}
    # who wrote it may have been killed before the flush: the next one sees to it as well
    tracker.clean_up()
    again = YamlDumper()
    again.setup(TrackerContext(tmp_path))
    for delivery in deliver(EVENTS[:3]):
        again.handle(delivery)
    assert len(replaced) == 3
    synced.clear()
    again.clean_up()
    assert set(synced) == above | {each.parent for each in replaced}
