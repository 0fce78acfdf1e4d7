"""From a name to a tracker class, and what is said when there is none."""

import subprocess
import sys
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from drytorch_trackers import MemoryTracker, Tracker, registry
from drytorch_trackers.errors import (
    BrokenTrackerError,
    MissingExtraError,
    NotATrackerError,
    TrackerFileError,
    TrackersError,
    UnknownTrackerError,
)

FILE = """
from drytorch_trackers import Tracker
from neighbour import NAME

class Mine(Tracker):
    name = NAME

class Typo(Tracker):
    def on_metrics(self, event):
        pass

class Plain:
    def notify(self, event):
        pass

class Outer:
    class Inner(Tracker):
        pass

class Handler(Tracker):
    def on_fire(self):
        pass

function = print
"""


INSTALL = ", which is not installed: run pip install"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file with trackers, good and bad, and one that it imports."""
    (tmp_path / "neighbour.py").write_text("NAME = 'found'")
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("name", ["console", "csv", "memory", "progress"])
def test_own_trackers_are_found(name: str) -> None:
    """Each short name of this distribution leads to a tracker that knows its name."""
    found = registry.load(name)
    assert issubclass(found, Tracker)
    assert registry.short_name(found) == name


def test_module_and_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:Class` and `file.py:Class` lead to the class, with the file's neighbours at hand."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert registry.load("drytorch_trackers.memory:MemoryTracker") is MemoryTracker
    found = registry.load(f"{file}:Mine")
    assert found.name == "found"  # type: ignore[attr-defined]  # of the file's class only
    assert registry.load(f"{file}:Mine") is found
    assert registry.load(f"{file}:Handler").__name__ == "Handler"
    assert registry.load(f"{file}:Outer.Inner").__qualname__ == "Outer.Inner"


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("csw", UnknownTrackerError, "Tracker 'csw' is unknown: did you mean csv?"),
        ("zzzzzz", UnknownTrackerError, "there are console, csv,"),
        ("nowhere.at.all:X", UnknownTrackerError, "there is no module nowhere."),
        ("drytorch_trackers.nowhere:X", UnknownTrackerError, "no module drytorch_trackers.nowhere"),
        ("drytorch_trackers.memory:MemryTracker", UnknownTrackerError, "mean MemoryTracker?"),
        ("no/such/file.py:X", TrackerFileError, "no/such/file.py of a tracker is not there"),
        ("{file}:Typo", NotATrackerError, "Typo.on_metrics would never be called: did you mean"),
        ("{file}:Plain", NotATrackerError, "it lacks the base class drytorch_trackers.Tracker"),
        ("{file}:function", NotATrackerError, "is no class but builtin_function_or_method"),
        ("drytorch_trackers.loading:MetricLoader", NotATrackerError, "it lacks _load_metrics"),
    ],
)
def test_wrong_names(
    file: Path, monkeypatch: pytest.MonkeyPatch, target: str, error: type[Exception], text: str
) -> None:
    """A name that leads to no tracker gets a named error that says what is wrong."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(error) as caught:
        registry.load(target.format(file=file))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import not_installed_anywhere", "run pip install 'not_installed_anywhere'."),
        ("import tensorboard_data_server.x", "run pip install 'tensorboard_data_server'."),
        ("import visdom.sub", "run pip install 'drytorch-bus[visdom]'."),
    ],
)
def test_missing_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, text: str
) -> None:
    """A tracker whose library is not installed gets the line that installs it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "needs.py"
    path.write_text(source)
    with pytest.raises(MissingExtraError, match="which is not installed") as caught:
        registry.load(f"{path}:Any")
    assert str(caught.value).endswith(text)
    assert caught.value.exit_code == 69


def test_broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that raises when it is loaded gets a named error, and is tried again next time."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(BrokenTrackerError, match=r"ZeroDivisionError: division by zero\."):
            registry.load(f"{path}:X")


def toy(folder: Path) -> None:
    """Install a package with entry points, as pip leaves it."""
    info = folder / "toy_trackers-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: toy-trackers\nVersion: 1\nProvides-Extra: toy\n"
        'Provides-Extra: more\nRequires-Dist: not-installed-lib; extra == "more"\n'
    )
    (info / "entry_points.txt").write_text(
        "[drytorch_trackers]\ntoy = toy_trackers:Toy\nother = toy_other:Toy\n"
        "gone = toy_gone:Toy\nlost = toy_fine:Lost\nfine = toy_fine:Fine\n"
    )
    (folder / "toy_trackers.py").write_text("import some_backend")
    (folder / "toy_other.py").write_text("import not_installed_lib")
    (folder / "toy_fine.py").write_text(
        "from drytorch_trackers import Tracker\nclass Fine(Tracker): pass"
    )


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("toy", f"69 Tracker 'toy' needs some_backend{INSTALL} 'toy-trackers[toy]'."),
        ("other", f"69 Tracker 'other' needs not_installed_lib{INSTALL} 'toy-trackers[more]'."),
        ("gone", "64 Tracker 'gone' leads to toy_gone:Toy, which is not there: install it again."),
        ("lost", "64 Tracker 'lost' leads to toy_fine:Lost, which is not there: install it again."),
        ("fine", "Fine"),
    ],
)
def test_other_packages(tmp_path: Path, name: str, printed: str) -> None:
    """Another package's entry points are found, and its own extras are named."""
    toy(tmp_path)
    code = (
        "import sys; sys.path.append(sys.argv[1]); from drytorch_trackers import registry, errors\n"
        "try: print(registry.load(sys.argv[2]).__name__)\n"
        "except errors.TrackersError as error: print(error.exit_code, error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == printed


def test_error_codes_are_those_of_the_commands() -> None:
    """What a user's mistake raises says with which code a command leaves."""
    assert issubclass(TrackerFileError, TrackersError)
    codes = [
        each.exit_code
        for each in (UnknownTrackerError, TrackerFileError, NotATrackerError, MissingExtraError)
    ]
    assert codes == [64, 66, 64, 69]


def test_hint_without_a_distribution() -> None:
    """A library is named even where no distribution says which extra brings it."""
    hint = registry._install_hint("x", ImportError("no", name="lib.sub"), None)
    assert hint == "Tracker 'x' needs lib, which is not installed: run pip install 'lib'."
    assert registry._install_hint("x", ImportError("odd"), None).endswith("loaded: odd.")
    assert isinstance(registry.entry_points()["csv"], EntryPoint)
    assert isinstance(registry.entry_points()["csv"].dist, Distribution)
