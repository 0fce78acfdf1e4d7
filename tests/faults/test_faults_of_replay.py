"""Faults of a replay (E) that no other test has."""

from pathlib import Path

import pytest

from drytorch_schemas.envelope import encode_fields
from drytorch_schemas.packing import pack, unpack
from drytorch_trackers import exit_codes
from drytorch_trackers.cli import main
from feeding import Run
from journal_making import write_journal
from working import CSV

Captured = pytest.CaptureFixture[str]


def replayed(journal: Path, out: Path, *options: str) -> int:
    """Replay a journal into CSV files and return the exit code."""
    return main(["replay", str(journal), "--to", "csv", "--par-dir", str(out), *options])


def test_unknown_kinds_and_fields(tmp_path: Path, capsys: Captured) -> None:
    """Kinds and fields of a newer version are passed over, what is known is written (E5)."""
    run = Run()
    known = run.whole(10)
    newer = [with_more(each) for each in known]
    newer.insert(5, encode_fields(run.origin, "FromTheFuture", 99, 99, {"a": {"b": [1, None]}}))
    write_journal(tmp_path / "known", known)
    write_journal(tmp_path / "newer", newer)
    assert replayed(tmp_path / "known", tmp_path / "expected") == exit_codes.OK
    assert replayed(tmp_path / "newer", tmp_path / "out") == exit_codes.OK
    assert (tmp_path / "out" / CSV).read_bytes() == (tmp_path / "expected" / CSV).read_bytes()
    assert capsys.readouterr().err == ""


def with_more(payload: bytes) -> bytes:
    """Return an envelope as a newer client may write it: fields that nobody here knows."""
    wire = unpack(payload)
    return pack(wire | {"mood": "new", "event": wire["event"] | {"colour": {"r": 1}}})


def test_one_run_of_a_thousand(tmp_path: Path, capsys: Captured) -> None:
    """Of a journal of a thousand runs that lie mixed, one alone is replayed, and whole (E6)."""
    runs = [Run(number, f"r{number}") for number in range(1000)]
    whole = [run.whole(5) for run in runs]
    mixed = [payloads[place] for place in range(len(whole[0])) for payloads in whole]
    write_journal(tmp_path / "journal", mixed, per_segment=1500)
    write_journal(tmp_path / "alone", whole[617])
    assert replayed(tmp_path / "alone", tmp_path / "expected") == exit_codes.OK
    assert replayed(tmp_path / "journal", tmp_path / "out", "--run", "r617") == exit_codes.OK
    assert capsys.readouterr().out.splitlines()[-1].startswith("8 events of 1 run went to csv")
    files = [path for path in (tmp_path / "out").rglob("*.csv") if path.is_file()]
    assert [path.relative_to(tmp_path / "out") for path in files] == [
        Path("csv_metrics", "Exp", "r617", "net", "Trainer.csv")
    ]
    expected = tmp_path / "expected" / files[0].relative_to(tmp_path / "out")
    assert files[0].read_bytes() == expected.read_bytes()
