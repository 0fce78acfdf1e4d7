"""`drytorch verify`: what is missing where, and the command that mends it."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from drytorch_client.declarations import Declaration
from drytorch_client.workers import owed
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_schemas.folders import spool_dir
from drytorch_trackers import exit_codes
from drytorch_trackers.cli import main
from feeding import Run
from hosts import Host, result_of
from journal_making import write_journal
from working import CSV

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return a journal of one run whose CSV was written."""
    write_journal(tmp_path / "journal", Run().whole(6), per_segment=4)
    line = ["replay", str(tmp_path / "journal"), "--to", "csv", "--par-dir", str(tmp_path)]
    assert main(line) == exit_codes.OK
    return tmp_path / "journal"


def verify(*arguments: str | Path, capsys: Captured) -> tuple[int, dict[str, Any]]:
    """Return exit code and the row of the only run."""
    capsys.readouterr()
    code = main(["verify", *map(str, arguments), "--json"])
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    return code, row


def test_complete(journal: Path, tmp_path: Path, capsys: Captured) -> None:
    """A complete run is said to be so, with how many events its CSV holds."""
    capsys.readouterr()
    line = ["verify", "Exp/r", "--journal", str(journal), "--against", "csv"]
    assert main([*line, "--par-dir", str(tmp_path)]) == exit_codes.OK
    expected = "Exp/r: complete, completed, 9 events of 1 producer, csv has 6 of 6\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("what", ["r", "E*/r", "Exp/[r]", Run().run])
def test_ways_to_name_a_run(journal: Path, what: str, capsys: Captured) -> None:
    """A run is found by id, by globs, and by UUID."""
    code, row = verify(what, "--journal", journal, capsys=capsys)
    assert (code, row["events"]) == (exit_codes.OK, 9)


@pytest.mark.parametrize("hurt", ["row removed", "value changed", "cut short", "file gone"])
def test_the_command_mends(journal: Path, tmp_path: Path, hurt: str, capsys: Captured) -> None:
    """Whatever happened to a CSV file, what it lacks is told, and the command told writes it."""
    file = tmp_path / CSV
    lines = file.read_bytes().splitlines(keepends=True)
    if hurt == "row removed":
        file.write_bytes(b"".join(lines[:3] + lines[4:]))
    elif hurt == "value changed":
        file.write_bytes(b"".join([*lines[:3], lines[3][:-4] + b"9\r\n", *lines[4:]]))
    elif hurt == "cut short":
        file.write_bytes(b"".join(lines[:3]))
    else:
        file.unlink()
    where = ("--journal", journal, "--against", "csv", "--par-dir")
    code, row = verify("Exp/r", *where, tmp_path, capsys=capsys)
    held = {"row removed": 5, "value changed": 5, "cut short": 2, "file gone": 0}[hurt]
    (artefact,) = row["artefacts"]
    assert code == exit_codes.DATA
    assert artefact["checked"] - artefact["missing_count"] == held
    assert artefact["missing"][0]["kind"] == "Metric"
    _, *mend = shlex.split(artefact["mend"])
    assert main(mend) == exit_codes.OK
    code, _ = verify("Exp/r", *where, mend[-1], capsys=capsys)
    assert code == exit_codes.OK


def test_an_unhandled_event_is_mended_in_place(
    journal: Path, tmp_path: Path, capsys: Captured
) -> None:
    """What a tracker never had is replayed into the same folder."""
    target = tmp_path / "never"
    target.mkdir()
    where = ("--journal", journal, "--against", "csv", "--par-dir", target)
    code, row = verify("Exp/r", *where, capsys=capsys)
    assert code == exit_codes.DATA
    mend = shlex.split(row["artefacts"][0]["mend"])
    assert mend[-1] == str(target)
    assert main(mend[1:]) == exit_codes.OK
    assert verify("Exp/r", *where, capsys=capsys)[0] == exit_codes.OK


def test_a_damaged_journal(journal: Path, capsys: Captured) -> None:
    """Damage is told, with the numbers that it cost, and the code is 65."""
    segment = min(journal.glob("*.msgpack"))
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    assert main(["verify", str(journal)]) == exit_codes.DATA
    out = capsys.readouterr().out
    assert "1 event of producer 00000000, 4" in out
    assert "is damaged at byte" in out


def test_a_folder_of_runs(host: Host, tmp_path: Path) -> None:
    """A par_dir stands for all its recorded runs, and what wrote there is looked at unasked."""
    for run_id in ("a", "b"):
        result_of(host.finish(host.train(tmp_path / "out", 3, run_id)))
    done = host.drytorch("verify", tmp_path / "out")
    assert done.returncode == exit_codes.OK, done.stdout + done.stderr
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == [
        "Exp/a: complete",
        "Exp/b: complete",
    ]
    assert done.stdout.count("csv has 3 of 3") == 2


def test_a_folder_of_replays(journal: Path, tmp_path: Path, capsys: Captured) -> None:
    """A folder that no run was recorded in is known by what trackers wrote there."""
    code, row = verify(tmp_path, "--journal", journal, capsys=capsys)
    assert code == exit_codes.OK
    assert [each["tracker"] for each in row["artefacts"]] == ["csv"]


def test_only_who_wrote_for_a_run_is_asked(journal: Path, tmp_path: Path, capsys: Captured) -> None:
    """A run lacks nothing of a tracker that wrote for other runs, unless a worker owes it."""
    other = Run(9, "other")
    write_journal(tmp_path / "second", other.whole(2))
    replay = ["replay", str(tmp_path / "second"), "--to", "yaml", "--par-dir", str(tmp_path)]
    assert main(replay) == exit_codes.OK
    line = ["verify", str(tmp_path), "--journal", str(journal), "--json"]
    line += ["--journal", str(tmp_path / "second")]

    def looked_at(code: int) -> dict[str, list[str]]:
        capsys.readouterr()
        assert main(line) == code
        rows = json.loads(capsys.readouterr().out)["runs"]
        return {row["run"]: [each["tracker"] for each in row["artefacts"]] for row in rows}

    assert looked_at(exit_codes.OK) == {Run().run: ["csv"], other.run: ["yaml"]}
    spec = WorkerSpec(
        name="owing",
        broker="ipc:///nowhere",
        declarations=[Declaration(name="CSVDumper", target="csv")],
        filter=Filter(run=other.run),
        par_dir=str(tmp_path),
        log_file=str(tmp_path / "owing.log"),
        owed=str(owed.owed_file("owing")),
    )
    owed.put(spec)
    assert looked_at(exit_codes.DATA) == {Run().run: ["csv"], other.run: ["csv", "yaml"]}


def test_files_of_others_are_not_looked_at(journal: Path, tmp_path: Path, capsys: Captured) -> None:
    """Files without a tracker's notes, such as DRYTorch's own, are not taken for a tracker's."""
    (tmp_path / "metadata" / "Exp").mkdir(parents=True)
    code, row = verify(tmp_path, "--journal", journal, capsys=capsys)
    assert code == exit_codes.OK
    assert [each["tracker"] for each in row["artefacts"]] == ["csv"]


def test_a_spool_waits(host: Host, tmp_path: Path) -> None:
    """A run without a broker is told from its spool, with the command; after it all is there."""
    away = f"ipc://{tmp_path / 'nobody'}"
    finished = host.finish(host.train(tmp_path / "out", 2, DRYTORCH_BROKER=away))
    assert result_of(finished)["raised"] == 0
    assert list(spool_dir().iterdir())
    write_journal(tmp_path / "journal", Run(9, "other").whole(1))
    told = host.drytorch("verify", "Exp/r", "--journal", tmp_path / "journal")
    assert told.returncode == exit_codes.DATA
    assert "still in a spool of this host: `drytorch sync`" in told.stdout


def test_mistakes(journal: Path, tmp_path: Path, capsys: Captured) -> None:
    """What cannot be verified is said in one sentence, with its exit code."""
    (tmp_path / "empty").mkdir()
    for line, code in (
        (["nope", "--journal", str(journal)], exit_codes.NO_INPUT),
        (["r", "--journal", str(tmp_path / "none")], exit_codes.NO_INPUT),
        (["r", "--journal", str(journal), "--broker", "tcp://127.0.0.1:1"], exit_codes.USAGE),
        ([str(journal), "--journal", str(journal)], exit_codes.USAGE),
        (["r", "--journal", str(journal), "--against", "progress"], exit_codes.USAGE),
        ([str(tmp_path / "empty")], exit_codes.NO_INPUT),
        (["r"], exit_codes.NO_INPUT),
    ):
        assert main(["verify", *line]) == code, line
        err = capsys.readouterr().err
        assert err.count("\n") == 1, err
        assert err.startswith("drytorch")
