"""One tracker's fault never shows in another's artefacts."""

import random
import sys
from pathlib import Path

import pytest

from hosts import SCRIPTS, Host, eventually

CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")


def rows_in(csv: Path) -> int:
    """Return the number of lines that a CSV file has by now."""
    return csv.read_bytes().count(b"\n") if csv.exists() else 0


def expected_csv(host: Host, folder: Path, epochs: int) -> bytes:
    """Return the CSV of an undisturbed run."""
    assert host.finish(host.train(folder, epochs, PAUSE="0")).returncode == 0
    eventually(lambda: not host.workers(), 20, "the workers leave")
    return (folder / CSV).read_bytes()


@pytest.mark.system(deadline=90)
@pytest.mark.timeout(240)
@pytest.mark.parametrize("bad", ["Raising", "Sleeping", "Leaving"])
def test_a_bad_tracker_hurts_nobody_else(host: Host, tmp_path: Path, bad: str) -> None:
    """A tracker that raises, sleeps or exits changes neither the training nor another's file."""
    expected = expected_csv(host, tmp_path / "quiet", 20)
    target = f"{SCRIPTS / 'bad_trackers.py'}:{bad}"
    out = tmp_path / "hurt"
    command: list[str | Path] = [sys.executable, SCRIPTS / "train.py", "Exp", out, "20", "r"]
    finished = host.drytorch("run", "-t", target, "--", *command, PAUSE="0.005")
    assert finished.returncode == 0, finished.stderr
    eventually(
        lambda: (out / CSV).exists() and (out / CSV).read_bytes() == expected, 20, "the whole CSV"
    )
    eventually(lambda: not host.workers(), 60, "every worker leaves, the sleeping one too")


@pytest.mark.system(deadline=90)
@pytest.mark.timeout(240)
def test_a_killed_worker_completes_after_its_restart(host: Host, tmp_path: Path) -> None:
    """Workers killed again and again at random moments still write every row once (A7)."""
    expected = expected_csv(host, tmp_path / "quiet", 100)
    out = tmp_path / "hurt"
    training = host.train(out, 100, PAUSE="0.01")
    moments = random.Random(7)
    for _ in range(3):
        rows = moments.randrange(5, 30)
        enough = rows_in(out / CSV) + rows

        def far_enough(enough: int = enough) -> bool:
            return training.poll() is not None or rows_in(out / CSV) > enough

        eventually(far_enough, 30, "some more rows")
        for worker in host.workers():
            worker.kill()
    assert host.finish(training).returncode == 0
    eventually(lambda: not host.workers(), 60, "the workers leave")
    if (out / CSV).read_bytes() != expected:  # killed after the end: the rest is still owed
        assert host.drytorch("sync").returncode == 0
    eventually(lambda: (out / CSV).read_bytes() == expected, 30, "the whole CSV")


@pytest.mark.system(deadline=90)
@pytest.mark.timeout(240)
def test_three_trainings_at_once_do_not_mix(host: Host, tmp_path: Path) -> None:
    """Three trainings with one experiment name and equal source names keep their rows apart."""
    out = tmp_path / "out"
    trainings = [host.train(out, 20 + 5 * number, f"r{number}") for number in range(3)]
    for training in trainings:
        assert host.finish(training, 120).returncode == 0
    eventually(lambda: not host.workers(), 60, "the workers leave")
    for number in range(3):
        csv = out / "csv_metrics" / "Exp" / f"r{number}" / "net" / "Trainer.csv"
        rows = csv.read_text().splitlines()[1:]
        epochs = 20 + 5 * number
        assert [int(row.split(",")[2]) for row in rows] == list(range(1, epochs + 1))
