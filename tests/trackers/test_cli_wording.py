"""Small words of the commands: versions, places, singular and plural."""

import importlib.metadata
from pathlib import Path

import pytest

from drytorch_broker import cli as broker_cli
from drytorch_trackers.cli import main
from drytorch_trackers.wording import named, plural, short, size
from feeding import Run
from journal_making import write_journal


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands tell the distribution's version."""
    version = importlib.metadata.version("drytorch-bus")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"drytorch {version}\n"
    assert broker_cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"drytorch-broker {version}\n"


def test_replay_says_where_each_tracker_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker with a folder of its own is named with that one, also where it is relative."""
    monkeypatch.chdir(tmp_path)
    (journal,) = write_journal(tmp_path / "journal", Run().whole(1))
    own = ("-o", "csv.par_dir=own")
    common = ("replay", str(journal), "--to", "csv", "--to", "memory", "--par-dir", "out")
    assert main([*common]) == 0
    assert main([*common, *own]) == 0
    database = ("--to", "sql", "-o", f"sql.url=sqlite:///{tmp_path}/m.db")
    assert main([*common, *database]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith(f"went to csv, memory under {tmp_path}/out.")
    assert second.endswith(f"went to csv under {tmp_path}/own; memory under {tmp_path}/out.")
    assert third.endswith(f"went to csv, memory under {tmp_path}/out; sql.")
    assert list((tmp_path / "own").rglob("*.csv"))


def test_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, bytes, paths and lists read as people write them."""
    monkeypatch.setenv("HOME", "/home/u")
    assert [plural(count, "spool") for count in (0, 1, 2)] == ["0 spools", "1 spool", "2 spools"]
    assert [size(1), size(1 << 20), size(5 << 40)] == ["1 B", "1.0 MiB", "5.0 TiB"]
    assert [short(Path("/home/u/a")), short("/home/us/a")] == ["~/a", "/home/us/a"]
    assert named(["a"]) == "a"
    assert named("abcde") == "a, b, c and 2 more"
