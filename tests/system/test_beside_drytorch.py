"""DRYTorch's own trackers and ours, on the same real trainings of DRYTorch's, write the same."""

import json
import sys
from pathlib import Path

import pytest

from deliveries import files
from doc_blocks import run_blocks
from dry_comparing import Rows, rows_of, screen_of, screens, values_in, written
from hosts import SCRIPTS, Host, eventually
from pages import ROOT

SUPPORT = Path(__file__).parents[1] / "support"
FILES = ("csv_metrics", "metadata")


def train(host: Host, folder: Path, *scenarios: str) -> str:
    """Run scenarios in one process, until all trackers are done; return what ours printed."""
    output = folder / f"{scenarios[0]}.txt"
    to_file = ("sh", "-c", 'exec "$0" "$@" >"$OUTPUT"')  # a pipe of text would change line ends
    command: list[str | Path] = [
        *to_file,
        sys.executable,
        SUPPORT / "dry_training.py",
        folder,
        *scenarios,
    ]
    done = host.run(*command, seconds=100, PYTHONPATH=str(SUPPORT), OUTPUT=str(output))
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 30, "the workers leave")
    return output.read_bytes().decode()


def begins_with(rows: Rows, first: Rows) -> bool:
    """Tell whether each table begins with the rows of another one."""
    return all(rows[table][: len(first[table])] == first[table] for table in first)


def closed_where_it_ends(screen: list[str]) -> list[str]:
    """Return DRYTorch's screen with the bar of a broken pass where ours is closed."""
    bars = [line for line in screen if "0/2, times" in line]
    assert len(bars) == 1
    rest = [line for line in screen if line not in bars]
    end = next(number for number, line in enumerate(rest) if " terminated at " in line)
    return [*rest[:end], *bars, *rest[end:]]


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_everything_is_the_same(host: Host, tmp_path: Path) -> None:
    """Files are equal byte for byte, tables row for row, and the console line for line."""
    printed = screens(train(host, tmp_path, "whole", "failing") + train(host, tmp_path, "after"))
    whole, failing = tmp_path / "whole", tmp_path / "failing"
    for folder, count in ((whole, 20), (failing, 14)):
        theirs = written(folder / "theirs", *FILES)
        assert len(theirs) == count
        assert written(folder / "ours", *FILES) == theirs

    assert printed["whole"] == screen_of(whole / "theirs.txt")
    assert printed["failing"] == closed_where_it_ends(screen_of(failing / "theirs.txt"))

    assert rows_of(whole / "ours" / "metrics.db") == rows_of(whole / "theirs" / "metrics.db")
    rows = rows_of(failing / "ours" / "metrics.db")
    assert begins_with(rows, rows_of(failing / "theirs" / "metrics.db"))
    for folder in (whole, failing):  # DRYTorch's table ends at the first NaN, its files go on
        logs = rows_of(folder / "ours" / "metrics.db")["logs"]
        assert sorted(map(repr, logs)) == sorted(map(repr, values_in(folder / "theirs")))


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_scripts_of_users_work(host: Host, tmp_path: Path) -> None:
    """A default bridge and one of the user's own report one script's runs, to their very end."""
    command = (sys.executable, "-W", "error::UserWarning", str(SCRIPTS / "dry_user.py"))
    done = host.drytorch(
        "run", "-t", "csv", "--", *command, seconds=100, OTHER=str(tmp_path / "other")
    )
    assert "SystemError: the script ends here" in done.stderr
    assert "forward" not in done.stderr
    eventually(lambda: not host.workers(), 30, "the workers leave")

    # what `drytorch run -t` handed over, without a tracker in the script
    first = written(tmp_path / "first", "csv_metrics")
    assert first["csv_metrics/First/r/first net/first trainer.csv"].count(b"\n") == 3

    # the same run by three: DRYTorch's trackers, the default bridge and the user's own
    theirs = written(tmp_path / "theirs", "csv_metrics")
    assert {Path(name).name for name in theirs} == {"second trainer.csv", "third trainer.csv"}
    assert written(tmp_path / "second", "csv_metrics") == theirs
    assert written(tmp_path / "other", "csv_metrics") == theirs
    assert written(tmp_path / "other", "metadata") == written(tmp_path / "second", "metadata")
    other, database = (tmp_path / name / "metrics.db" for name in ("other", "theirs"))
    assert rows_of(other) == rows_of(database)

    runs = json.loads(host.drytorch("runs", "--json").stdout)
    ends = [(each["experiment"], each["run_id"], each["status"]) for each in runs]
    second = [("Second", "r", "completed"), ("Second", "never stopped", "failed")]
    assert sorted(ends) == sorted([("First", "r", "completed"), *second, *second])


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_the_page_for_users_of_drytorch_runs(host: Host, tmp_path: Path) -> None:
    """The page's blocks are one script, and what it says of the files that it makes is so."""
    done = run_blocks(host, ROOT / "docs" / "from-drytorch.md", seconds=100)
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 30, "the workers leave")
    theirs = {
        name: data for name, data in files(tmp_path / "experiments").items() if "Line" in name
    }
    assert len(theirs) == 3
    assert files(tmp_path / "bus") == theirs
    (moved,) = (tmp_path / "experiments" / "csv_metrics" / "Moved").rglob("Validation.csv")
    assert moved.read_bytes().count(b"\n") == 4
