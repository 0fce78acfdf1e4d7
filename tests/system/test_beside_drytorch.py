"""DRYTorch's own trackers and ours, on the same real trainings of DRYTorch's, write the same."""

import sys
from pathlib import Path

import pytest

from dry_comparing import Rows, rows_of, screen_of, screens, values_in, written
from hosts import Host, eventually

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
