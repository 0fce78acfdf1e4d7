"""A user's mistake gets one sentence on stderr and an exit code, in every subcommand."""

import os
from pathlib import Path

import pytest

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import main
from feeding import Run
from journal_making import write_journal

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a segment of a whole run, in the current folder's `journal`."""
    monkeypatch.chdir(tmp_path)
    (path,) = write_journal(tmp_path / "journal", Run().whole(3))
    return path


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("frobnicate", 64, ["frobnicate", "--help"]),
        ("tail --jsn", 64, ["--jsn", "--json"]),
        ("replay --too csv", 64, ["--too", "--to"]),
        ("replay", 64, ["--broker"]),
        ("replay journal", 64, ["--to", "--list"]),
        ("replay journal --to csv --list", 64, ["--list"]),
        ("replay journal --to csv --broker ipc:///x", 64, ["--broker"]),
        ("replay journal --to cvs", 64, ["cvs", "csv"]),
        ("replay journal --to csv --to csv", 64, ["twice"]),
        ("replay journal --to csv -o par_dri=x", 64, ["par_dri", "par_dir"]),
        ("replay journal --to csv -o par_dir", 64, ["option=value"]),
        ("replay journal --to csv -o sql.url=x", 64, ["sql", "csv"]),
        ("replay journal --to csv --speed fast", 64, ["'--speed': 'fast' is not one of 'max'"]),
        ("replay journal --to csv --run typo", 66, ["No run matches", "--list"]),
        ("replay journal --to csv --experiment Typo", 66, ["No run matches", "--list"]),
        ("replay gone.msgpack --to csv", 66, ["gone.msgpack"]),
        ("replay journal gone.msgpack --list", 66, ["gone.msgpack"]),
        ("replay journal --to gone.py:Tracker", 66, ["gone.py"]),
        ("replay note.txt --to csv", 65, ["note.txt", "not a journal"]),
        ("replay journal --to csv --par-dir note.txt/x", 74, ["note.txt/x"]),
        ("replay --broker nonsense --to csv", 64, ["nonsense", "tcp://"]),
        ("track", 64, ["TRACKER"]),
        ("track csv --from yesterday", 64, ["yesterday", "now"]),
        ("track csv", 69, ["drytorch-broker start --detach"]),
        ("track csv --broker tcp://127.0.0.1:1", 69, ["tcp://127.0.0.1:1"]),
        ("track cvs", 64, ["cvs", "csv"]),
        ("tail", 69, ["drytorch-broker start --detach"]),
        ("tail --broker tcp://127.0.0.1:99999", 64, ["99999"]),
        ("workers", 69, ["drytorch-broker start --detach"]),
        ("runs --broker ipc:///nowhere", 69, ["ipc:///nowhere"]),
        ("run", 64, ["COMMAND"]),
        ("run -t cvs -- true", 64, ["cvs", "csv"]),
        ("run -- no-such-program", 66, ["no-such-program"]),
        ("run -- ./note.txt", 77, ["./note.txt", "not executable", "interpreter"]),
        ("run --broker nonsense -- true", 64, ["nonsense"]),
        ("sync --wait soon", 64, ["--wait"]),
    ],
)
def test_mistakes(
    journal: Path,  # noqa: ARG001  # lines name it
    tmp_path: Path,
    capsys: Captured,
    line: str,
    code: int,
    words: list[str],
) -> None:
    """Each mistake has its code, and one line on stderr that names it."""
    (tmp_path / "note.txt").write_text("no journal\n")
    assert main(line.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("drytorch")
    for word in words:
        assert word in err


def test_a_bad_url_in_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """A wrong DRYTORCH_BROKER ends with 64; `disabled` means this user's own broker here."""
    monkeypatch.setenv("DRYTORCH_BROKER", "http://x:1")
    assert main(["tail"]) == exit_codes.USAGE
    assert "http://x:1" in capsys.readouterr().err
    monkeypatch.setenv("DRYTORCH_BROKER", "disabled")
    assert main(["tail"]) == exit_codes.UNAVAILABLE


def test_a_missing_library(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A tracker whose library is missing ends with 69 and the line to run."""
    info = tmp_path / "site" / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[drytorch_trackers]\ntoy = toy_of_cli:Toy\n")
    (tmp_path / "site" / "toy_of_cli.py").write_text("import library_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert main(["replay", str(journal), "--to", "toy"]) == exit_codes.UNAVAILABLE
    err = capsys.readouterr().err
    assert "pip install 'library_that_nobody_has'" in err
    assert len(err.splitlines()) == 1


def test_damage_is_told_after_all_that_can_be_read(journal: Path, capsys: Captured) -> None:
    """A torn journal is replayed as far as it goes, then ends with 65 and one line (E4)."""
    journal.write_bytes(journal.read_bytes()[:-5])
    assert main(["replay", "journal", "--to", "csv"]) == exit_codes.DATA
    out, err = capsys.readouterr()
    assert out.startswith("5 events of 1 run went to csv")
    assert len(err.splitlines()) == 1
    assert journal.name in err
    assert Path("csv_metrics/Exp/r/net/Trainer.csv").read_bytes().count(b"\n") == 4


def test_events_that_a_tracker_cannot_handle(
    journal: Path, tmp_path: Path, capsys: Captured
) -> None:
    """A replay whose tracker fails at some events goes on, and ends with 73."""
    (tmp_path / "picky.py").write_text(
        "from drytorch_trackers import Tracker\n"
        "class Picky(Tracker):\n"
        "    def on_actor_registration(self, event):\n"
        "        raise ValueError('not you')\n"
    )
    code = main(["replay", str(journal), "--to", "picky.py:Picky", "--to", "csv"])
    assert code == exit_codes.DEAD_LETTERS
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "could not handle ActorRegistration, which is put aside: ValueError: not you" in err
    assert Path("csv_metrics/Exp/r/net/Trainer.csv").read_bytes().count(b"\n") == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else(
    journal: Path, isolated_environment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A parent folder that cannot be written to ends with 77, before anything is read."""
    folder = isolated_environment / "locked"
    folder.mkdir(mode=0o755)
    isolated_environment.chmod(0o755)
    child = os.fork()
    if not child:
        os.setgid(65534)
        os.setuid(65534)
        os._exit(main(["replay", str(journal), "--to", "csv", "--par-dir", str(folder / "x")]))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == exit_codes.PERMISSION
    assert capfd.readouterr().err.count("\n") == 1


def test_help_ends_with_examples(capsys: Captured) -> None:
    """Every subcommand's help shows real commands, one per line."""
    for name in ("run", "track", "replay", "tail", "runs", "workers", "sync"):
        assert main([name, "--help"]) == exit_codes.OK
        lines = capsys.readouterr().out.rstrip().splitlines()
        examples = lines[lines.index("  Examples:") + 1 :]
        assert examples
        assert all(" drytorch" in line or " cat " in line for line in examples)


def test_a_defect_is_told_as_one(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """An unexpected exception shows where it came from and ends with 70."""

    def broken(*_arguments: object, **_options: object) -> None:
        raise AssertionError("unexpected")

    monkeypatch.setattr("drytorch_trackers.cli.broker.endpoint_of", broken)
    assert main(["tail"]) == exit_codes.SOFTWARE
    err = capsys.readouterr().err
    assert "AssertionError: unexpected" in err
    assert err.splitlines()[-1].startswith("drytorch: That is a defect")
