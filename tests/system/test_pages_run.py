"""The blocks of how-to pages, of the pages for newcomers and of the reference run as they stand."""

import json
import sys
from pathlib import Path

import pytest

from doc_blocks import run_blocks, save_blocks
from hosts import BIN, Host
from pages import ROOT

DOCS = ROOT / "docs"

pytestmark = pytest.mark.system(deadline=60)


def lines_of(folder: Path, name: str) -> int:
    """Return the number of lines in the one file of a name below a folder."""
    (path,) = folder.rglob(name)
    return path.read_bytes().count(b"\n")


def test_page_for_users_of_wandb(host: Host) -> None:
    """from-wandb.md: values by source, late config and tags, and the summary arrive."""
    done = run_blocks(host, DOCS / "from-wandb.md")
    assert done.returncode == 0, done.stderr
    assert lines_of(host.folder, "run.steps.csv") == lines_of(host.folder, "val.steps.csv") == 101
    described = "".join(path.read_text() for path in host.folder.rglob("*.yaml"))
    assert "found: late" in described
    assert "best: 0.01" in described


def test_page_for_users_of_tensorboard_and_the_journal_of_the_reference(host: Host) -> None:
    """from-tensorboard.md: scalars arrive; api.md: its block reads them out of the journal."""
    done = run_blocks(host, DOCS / "from-tensorboard.md")
    assert done.returncode == 0, done.stderr
    assert lines_of(host.folder, "run.steps.csv") == 101
    assert lines_of(host.folder, "m.steps.csv") == 2
    read = run_blocks(host, DOCS / "reference" / "api.md")
    assert read.returncode == 0, read.stderr
    assert sum("metrics={" in line for line in read.stdout.splitlines()) == 101


def test_page_on_notebooks(host: Host) -> None:
    """notebook.md: its cells run one after another, and metrics are loaded in the last one."""
    done = run_blocks(host, DOCS / "how-to" / "notebook.md")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[1, 2, 3] 3"


def test_page_on_sweeps(host: Host) -> None:
    """sweep.md: trials of several processes have runs, files and values of their own."""
    save_blocks(DOCS / "how-to" / "sweep.md", host.folder)
    done = host.run(sys.executable, "sweep.py")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(
        [(1 - r) ** 100 for r in (0.1, 0.03, 0.01, 0.003)]
    )
    runs = json.loads(host.drytorch("runs", "--experiment", "Sweep*", "--json").stdout)
    names = ["lr-0.003", "lr-0.01", "lr-0.03", "lr-0.1"]
    assert sorted(row["run_id"].rpartition("_")[0] for row in runs) == names
    files = list(host.folder.rglob("run.steps.csv"))
    assert [path.read_bytes().count(b"\n") for path in files] == [101] * 4


def test_page_on_resuming(host: Host) -> None:
    """resume.md: the script dies in epoch 3, and goes on from its checkpoint when run again."""
    save_blocks(DOCS / "how-to" / "resume.md", host.folder)
    assert host.run(sys.executable, "train.py").returncode == -9
    done = host.run(sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    (path,) = host.folder.rglob("Trainer.csv")
    epochs = [int(line.split(",")[2]) for line in path.read_text().splitlines()[1:]]
    assert epochs == [1, 2, 3, 3, 4, 5]
    (row,) = json.loads(host.drytorch("runs", "--json").stdout)
    assert (row["run_id"], row["status"]) == ("baseline", "completed")


def test_page_on_torchrun(host: Host) -> None:
    """torchrun.md: two processes train, and each epoch is reported once."""
    save_blocks(DOCS / "how-to" / "torchrun.md", host.folder)
    done = host.run(BIN / "torchrun", "--nproc-per-node", "2", "train_ddp.py", seconds=90)
    assert done.returncode == 0, done.stderr
    assert lines_of(host.folder, "Trainer.csv") == 4
