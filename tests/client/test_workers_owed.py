"""The owed list: who still has something to do."""

import os
import time

import pytest

from drytorch_client.declarations import Declaration
from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers import owed
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_schemas.locations import owed_dir


def spec_for(name: str) -> WorkerSpec:
    """Return the spec of a worker that is on the list."""
    return WorkerSpec(
        name=name,
        broker="ipc:///x",
        declarations=[Declaration(name="CSVDumper", target="csv", kwargs={"password": "x"})],
        filter=Filter(run="0" * 32),
        par_dir="/p",
        owed=str(owed.owed_file(name)),
    )


def names() -> list[str]:
    """Return the names of those that nobody runs."""
    return [each.spec.name for each in owed.pending()]


def test_an_empty_list() -> None:
    """Without any folder the list is empty."""
    assert names() == []


def test_from_putting_to_settling() -> None:
    """A worker is pending until it runs, again when it died, and gone when it is done."""
    spec = spec_for("one")
    owed.put(spec)
    assert [each.spec for each in owed.pending()] == [spec]
    lock = owed.claim(spec)
    assert lock is not None
    assert names() == []
    assert owed.claim(spec) is None
    lock.release()  # as at its death
    assert names() == ["one"]
    lock = owed.claim(spec)
    owed.settle(spec, lock)
    assert names() == []
    assert list(owed_dir().iterdir()) == []


def test_files_are_private() -> None:
    """Nobody else can read the options, nor enter the folder."""
    owed.put(spec_for("one"))
    assert owed.owed_file("one").stat().st_mode & 0o777 == 0o600
    assert owed_dir().stat().st_mode & 0o777 == 0o700


def test_the_reason_of_a_stop_is_kept() -> None:
    """A worker that gave up is listed with its reason, until it is put back."""
    spec = spec_for("one")
    owed.put(spec, "a tracker stopped with errors")
    assert [each.stopped for each in owed.pending()] == ["a tracker stopped with errors"]
    owed.put(spec)
    assert [each.stopped for each in owed.pending()] == [""]


def test_young_entries_can_be_left_to_others() -> None:
    """An entry that was just made can be left alone."""
    owed.put(spec_for("young"))
    owed.put(spec_for("old"))
    hour_ago = time.time() - 3600
    os.utime(owed.owed_file("old"), (hour_ago, hour_ago))
    assert [each.spec.name for each in owed.pending(older_than=60)] == ["old"]
    assert names() == ["old", "young"]


def test_damaged_files_are_passed_over() -> None:
    """A damaged entry hides none of the others, and is named when it is asked for."""
    owed.put(spec_for("good"))
    damaged = owed.owed_file("damaged")
    for content in (b"", b"\xc1", b"\x81\xa4spec\x01"):
        damaged.write_bytes(content)
        assert names() == ["good"]
        with pytest.raises(WorkerSpecError, match="damaged"):
            owed.read(damaged)
