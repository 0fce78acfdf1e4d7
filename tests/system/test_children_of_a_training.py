"""Children of a training report to its run or to one of their own, and disturb nothing."""

import collections
import sys
from pathlib import Path

import pytest

from doc_blocks import save_blocks
from hosts import SCRIPTS, Host, eventually
from journaled import assert_complete, journaled
from pages import ROOT

# newer Pythons warn of every fork beside a thread
STRICT = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
METHODS = ("fork", "spawn", "forkserver")


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(180)
def test_children_of_every_kind(host: Host, tmp_path: Path) -> None:
    """Forked and spawned children, and DataLoaders' workers, beside one run: all is there (A16)."""
    out = tmp_path / "out"
    done = host.run(sys.executable, *STRICT, SCRIPTS / "children.py", out, seconds=120)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "warning" not in done.stderr.lower()
    assert "Traceback" not in done.stderr
    eventually(lambda: not host.workers(), 30, "the workers leave")
    steps = out / "csv_metrics" / "Exp" / "r" / "run"
    for source in ("parent", *METHODS):
        rows = (steps / f"{source}.steps.csv").read_text().splitlines()[1:]
        assert [int(row.split(",")[-1]) for row in rows] == list(range(50)), source
    for source in ("os.fork", "killed"):
        assert (steps / f"{source}.steps.csv").read_text().count("\n") == 2
    assert (steps.parent / "net" / "Trainer.csv").read_text().count("\n") == 4

    envelopes = journaled(host)
    assert_complete(envelopes)
    starts = collections.Counter(
        each.origin.experiment for each in envelopes if each.kind == "StartExperiment"
    )
    assert starts == {"Exp": 1} | {f"Own-{method}": 1 for method in METHODS}
    stops = [each.origin.experiment for each in envelopes if each.kind == "StopExperiment"]
    assert stops[-1] == "Exp"
    assert len(stops) == 4
    of_exp = {each.origin.producer for each in envelopes if each.origin.experiment == "Exp"}
    # parent, fork, spawn, forkserver, os.fork twice; no worker of a DataLoader
    assert len(of_exp) == 6
    assert {each.kind for each in envelopes} & {"RunLost", "Loss"} == set()


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(120)
def test_the_page_on_children_works(host: Host, tmp_path: Path) -> None:
    """The script of the page writes a table for each of its spawned children."""
    save_blocks(ROOT / "docs" / "how-to" / "multiprocessing.md", tmp_path)
    done = host.run(sys.executable, "evaluate.py", seconds=90)
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 30, "the workers leave")
    steps = tmp_path / "experiments" / "csv_metrics" / "Evaluation" / "r" / "run"
    for part in range(2):
        rows = (steps / f"part {part}.steps.csv").read_text().splitlines()[1:]
        assert [float(row.split(",")[-1]) for row in rows] == [0.5, 0.6, 0.7]
