"""Whose a run's folder is: names, claims, locks."""

import itertools
import json
import logging
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries import origin
from drytorch_schemas.locks import FileLock
from drytorch_trackers import run_folder
from drytorch_trackers.errors import ClaimError, FolderTakenError, UnsafeNameError
from drytorch_trackers.file_names import escape, run_parts, unescape
from drytorch_trackers.run_folder import RunFolders

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300) | st.text(
    "%2Fa./\\", min_size=1, max_size=6
)


@given(name=NAMES, suffix=st.sampled_from(["", ".csv", ".steps.csv"]))
def test_escaped_names(name: str, suffix: str) -> None:
    """A file name has one level, fits, keeps its suffix, and leads back to the name."""
    if name in (".", ".."):
        return
    escaped = escape(name, suffix)
    assert "/" not in escaped
    assert "\0" not in escaped
    assert len(escaped.encode()) <= 255
    assert escaped.endswith(suffix)
    if "~" not in escaped:
        assert unescape(escaped.removesuffix(suffix)) == name


@given(names=st.lists(NAMES.filter(lambda name: name not in {".", ".."}), unique=True))
def test_escaped_names_differ(names: list[str]) -> None:
    """Different names never share a file name."""
    assert len({escape(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("run_id", "parts"),
    [
        ("2025-08-01@12h54m21s", ("2025-08-01", "12h54m21s")),
        ("a@b@c", ("a", "b@c")),
        ("plain id", ("plain id",)),
        ("@", ("@",)),
        ("a@", ("a@",)),
        ("@b", ("@b",)),
        ("a/b@c/../d", ("a%2Fb", "c%2F..%2Fd")),
    ],
)
def test_parts_of_a_run_id(run_id: str, parts: tuple[str, ...]) -> None:
    """The first @ parts day and time; other ids name one folder."""
    assert run_parts(run_id) == parts


@pytest.mark.parametrize("run_id", [".", "..", "..@x", "x@.."])
def test_run_ids_that_leave(tmp_path: Path, run_id: str) -> None:
    """A run id cannot lead out of its experiment's folder."""
    with pytest.raises(UnsafeNameError):
        RunFolders(tmp_path, "kind").take(origin(run_id=run_id))


def test_second_run_of_a_name_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Runs with equal names get suffixes in the order in which they come, and a line says so."""
    folders = RunFolders(tmp_path, "kind")
    with caplog.at_level(logging.WARNING, run_folder.__name__):
        names = [folders.take(origin(f"{n}" * 32)).path.name for n in (1, 2, 3, 2, 1)]
    assert names == [f"12h54m21s{suffix}" for suffix in ("", "_1", "_2", "_1", "")]
    assert [record.getMessage().rpartition("/")[2] for record in caplog.records] == [
        "12h54m21s_1.",
        "12h54m21s_2.",
    ]
    again = RunFolders(tmp_path, "kind")
    folders.release_all()
    assert again.take(origin("3" * 32)).path.name == "12h54m21s_2"


def test_suffix_meets_another_runs_name(tmp_path: Path) -> None:
    """A run that is really called `x_1` and the second `x` never share a folder."""
    for order in set(itertools.permutations(["x", "x", "x_1"])):
        folders = RunFolders(tmp_path / "-".join(order), "kind")
        taken = [folders.take(origin(f"{n}" * 32, run_id)).path for n, run_id in enumerate(order)]
        assert len(set(taken)) == 3


def test_kinds_do_not_meet(tmp_path: Path) -> None:
    """Two kinds of artefacts of one run are written at the same time."""
    one, two = (RunFolders(tmp_path, kind).take(origin()) for kind in ("csv_metrics", "metadata"))
    assert one.path != two.path
    assert one.side != two.side


def test_locked_against_others(tmp_path: Path) -> None:
    """While one has a run's folder nobody else gets it; afterwards it is free."""
    one, two = RunFolders(tmp_path, "kind"), RunFolders(tmp_path, "kind")
    folder = one.take(origin())
    assert one.take(origin()) == folder
    with pytest.raises(FolderTakenError, match="choose another folder with --par-dir"):
        two.take(origin())
    one.release(origin().run)
    assert two.take(origin()) == folder


def test_finding_does_not_claim(tmp_path: Path) -> None:
    """A reader finds a claimed folder by its run alone and leaves nothing behind."""
    names = ("Exp", origin().run_id)
    assert RunFolders(tmp_path, "kind").find(*names, "1" * 32) is None
    assert list(tmp_path.iterdir()) == []
    folders = RunFolders(tmp_path, "kind")
    for n in (1, 2):
        folders.take(origin(f"{n}" * 32))
    found = RunFolders(tmp_path, "kind").find(*names, "2" * 32)
    assert found is not None
    assert found.path.name == "12h54m21s_1"
    assert RunFolders(tmp_path, "kind").find(*names, "3" * 32) is None


def test_files_of_others_are_noted(tmp_path: Path) -> None:
    """A claim remembers whether the folder held somebody else's files."""
    (tmp_path / "kind/Exp/2025-08-01/12h54m21s/net").mkdir(parents=True)
    assert RunFolders(tmp_path, "kind").take(origin()).found
    assert RunFolders(tmp_path, "kind").find("Exp", origin().run_id, origin().run)
    assert not RunFolders(tmp_path, "other").take(origin()).found


def test_damaged_claim(tmp_path: Path) -> None:
    """A claim that cannot be read is an error that names it, not a second claim."""
    folders = RunFolders(tmp_path, "kind")
    path = folders.take(origin()).side / "claim.json"
    folders.release_all()
    assert json.loads(path.read_text())["run"] == origin().run
    for content in ("", "[1]", "{}"):
        path.write_text(content)
        with pytest.raises(ClaimError, match=r"claim\.json cannot be read"):
            folders.take(origin())


def test_claims_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds the claims locked waits, and says so where it takes too long."""
    folders = RunFolders(tmp_path, "kind")
    folders.take(origin("1" * 32))
    lock = FileLock(tmp_path / ".drytorch/Exp/kind/claims.lock")
    assert lock.acquire()
    timer = threading.Timer(0.1, lock.release)
    timer.start()
    assert folders.take(origin("2" * 32)).path.name == "12h54m21s_1"
    timer.join()
    assert lock.acquire()
    monkeypatch.setattr(run_folder, "_CLAIM_SECONDS", 0.05)
    with pytest.raises(ClaimError, match="stays locked"):
        folders.take(origin("3" * 32))
    lock.release()
