"""DRYTorch's tracker tutorial works here, and so does our own page."""

import sys
from pathlib import Path

import pytest

from doc_blocks import run_blocks
from drytorch_schemas import events
from drytorch_trackers import Tracker
from drytorch_trackers.methods import METHODS
from hosts import SCRIPTS, Host, eventually
from pages import ROOT, code_of, rows, text_of

PAGE = ROOT / "docs" / "tutorial" / "trackers.md"


@pytest.mark.system(deadline=60)
def test_dry_torchs_tracker_tutorial_runs_as_it_is(host: Host, tmp_path: Path) -> None:
    """A tracker class of the script prints once, and a default CSV goes where it was told."""
    done = host.run(sys.executable, SCRIPTS / "contract_tutorial.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "'Linear(in_features=2, out_features=3, bias=True)'",
        "{'answer': 42}",
    ]
    written = tmp_path / "experiments" / "my_directory" / "csv_metrics" / "WithCSV"
    (csv,) = written.rglob("*.csv")
    assert csv.name == "Trainer.csv"
    assert [line.split(",")[2] for line in csv.read_text().splitlines()] == ['"Epoch"', "1", "2"]
    eventually(lambda: not host.workers(), 30, "the workers leave")


@pytest.mark.system(deadline=60)
def test_our_page_runs_and_prints_what_it_says(host: Host, tmp_path: Path) -> None:
    """The page's blocks are one script that prints the lines at its end and writes its tables."""
    done = run_blocks(host, PAGE)
    assert done.returncode == 0, done.stderr
    (expected,) = code_of(PAGE, "text")
    assert sorted(done.stdout.splitlines()) == sorted(expected.splitlines())
    assert len(list((tmp_path / "experiments" / "tables").rglob("Trainer.csv"))) == 1
    eventually(lambda: not host.workers(), 30, "the workers leave")


def test_catalogue_of_events_is_complete() -> None:
    """The page's table has each event with its method, its meaning and its fields, in order."""
    table = [cells for cells in rows(text_of(PAGE)) if len(cells) == 4]
    assert table == [
        [
            f"`{event.__name__}`",
            f"`{METHODS[kind]}`",
            getattr(Tracker, METHODS[kind]).__doc__,
            ", ".join(f"`{name}`" for name in event.model_fields),
        ]
        for kind, event in ((kind, events.event_classes()[kind]) for kind in METHODS)
    ]
