"""The registry of runs: DRYTorch's file, safe between processes."""

import datetime
import json
import multiprocessing
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dry_loading import drytorch_loaded
from drytorch_client.errors import RegistryError
from drytorch_client.registry import RunRegistry, last_commit

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - DRYTorch's times are naive local ones


@pytest.fixture
def registry(tmp_path: Path) -> RunRegistry:
    """Return a registry without a file."""
    return RunRegistry(tmp_path, "Exp")


def test_the_file_is_drytorchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's bytes are those that DRYTorch writes for the same runs."""
    monkeypatch.chdir(tmp_path)
    with drytorch_loaded() as modules:
        experimenting = modules.experimenting
    ours, theirs = RunRegistry(tmp_path, "Exp"), tmp_path / "theirs" / "runs.json"
    upstream = experimenting.RunRegistry(theirs)
    for number in range(3):
        ours.reserve(f"r{number}", NOW)
        upstream.register_new_run(
            experimenting.RunMetadata(f"r{number}", "created", "2026-01-02@03h04m05s", None)
        )
    ours.update_status("r1", "failed")
    upstream.update_run_status("r1", "failed")
    assert ours.file.read_bytes() == theirs.read_bytes()
    assert ours.file.relative_to(tmp_path) == Path(".drytorch", "Exp", "runs.json")
    assert [run.id for run in experimenting.RunRegistry(ours.file).load_all()] == ["r0", "r1", "r2"]


def test_unreadable_json_counts_as_empty_and_is_kept(registry: RunRegistry) -> None:
    """A damaged file is treated as empty, and put aside when it is replaced."""
    registry.reserve("a", NOW)
    registry.file.write_text('[{"id": "a", ')
    assert registry.load() == []
    assert registry.reserve("a", NOW) == "a"
    assert registry.file.with_suffix(".json.unreadable").read_text() == '[{"id": "a", '


def test_entries_of_others_stay(registry: RunRegistry) -> None:
    """Fields and entries that somebody else wrote survive."""
    registry.file.parent.mkdir(parents=True)
    registry.file.write_text(json.dumps([{"id": "old", "note": "mine"}, {"other": 1}]))
    registry.reserve("new", NOW)
    registry.update_status("old", "completed")
    first, second, third = registry.load()
    assert first == {"id": "old", "note": "mine", "status": "completed"}
    assert (second, third["id"]) == ({"other": 1}, "new")


def test_an_unknown_run_has_no_status(registry: RunRegistry) -> None:
    """A status for a run that is not recorded is an error."""
    registry.reserve("a", NOW)
    with pytest.raises(RegistryError, match="Run b is not in"):
        registry.update_status("b", "failed")


def _reserve_many(par_dir: Path, count: int, given: Any) -> None:
    registry = RunRegistry(par_dir, "Exp")
    for _ in range(count):
        run_id = registry.reserve(None, NOW)
        assert run_id is not None
        registry.update_status(run_id, "completed")
        given.put((run_id, registry.run_uuid(run_id, resumed=False)))


def test_processes_never_share_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of one second, reserved by several processes at once, are all different and kept."""
    monkeypatch.chdir(tmp_path)
    context = multiprocessing.get_context("fork")
    given = context.Queue()
    processes = [context.Process(target=_reserve_many, args=(tmp_path, 5, given)) for _ in range(4)]
    for process in processes:
        process.start()
    reserved = [given.get(timeout=30) for _ in range(20)]
    for process in processes:
        process.join()
    entries = RunRegistry(tmp_path, "Exp").load()
    assert {entry["id"] for entry in entries} == {run_id for run_id, _ in reserved}
    assert len(entries) == len({run_uuid for _, run_uuid in reserved}) == 20
    assert {entry["status"] for entry in entries} == {"completed"}


def test_a_damaged_uuid_is_made_anew(registry: RunRegistry) -> None:
    """A UUID file that holds something else does not stop a resume."""
    registry.reserve("a", NOW)
    run_uuid = registry.run_uuid("a", resumed=False)
    assert registry.run_uuid("a", resumed=True) == run_uuid
    (registry.file.parent / "a.uuid").write_text("nonsense")
    assert registry.run_uuid("a", resumed=True) not in (run_uuid, "nonsense")


def test_the_commit_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is that of the current folder's repository, None outside one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert last_commit() is None
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "m"], check=True)
    head = subprocess.run(["git", "log", "--format=%H"], check=True, capture_output=True, text=True)
    assert last_commit() == head.stdout.strip()
