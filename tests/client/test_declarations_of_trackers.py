"""Trackers become declarations, and declarations become equal trackers."""

import dataclasses
import enum
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import create_engine

from drytorch_client import messages, plain
from drytorch_client.declarations import Declaration, declare, full_target
from drytorch_client.errors import (
    HandoverVariableError,
    NotATrackerError,
    NotImportableError,
    TrackerAlreadyRegisteredError,
    TrackerArgumentError,
    TrackerNotUsedError,
    UnknownTrackerError,
)
from drytorch_client.handed_over import with_handed_over
from drytorch_client.subscriptions import Subscriptions
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_trackers import BuiltinLogger, CSVDumper, MemoryTracker, Tracker


class Shade(enum.Enum):
    """An option."""

    DARK = 1


@dataclasses.dataclass
class Style:
    """Options as a dataclass."""

    width: float = 1.0
    shade: Shade = Shade.DARK


class Settings(BaseModel):
    """Options as a pydantic model."""

    project: str = "p"
    tags: tuple[str, ...] = ()


class Custom(Tracker):
    """A tracker with arguments of any kind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.given = args, kwargs


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this module be imported by the name that its classes have."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())


def _this_module() -> types.ModuleType:
    module = types.ModuleType(__name__)
    module.__dict__.update(globals())
    return module


def load(target: str) -> type:
    """Return a class by its target, as a worker does."""
    found = plain.import_object(full_target(target))
    assert isinstance(found, type)
    return found


def sent(declaration: Declaration) -> Declaration:
    """Return a declaration after its way to the worker."""
    spec = WorkerSpec(
        name="w", broker="ipc:///x", declarations=[declaration], filter=Filter(), par_dir="/p"
    )
    return WorkerSpec.from_bytes(spec.to_bytes()).declarations[0]


def built(tracker: Any) -> Any:
    """Return what a worker builds for a tracker."""
    return sent(declare(tracker)).build(load)


@pytest.mark.parametrize(
    "value",
    [
        *[None, True, 3, 1.5, "text", b"bytes", [1, [2]], (1, (2,)), {1, 2}, {"a": {"b": 1}}],
        *[{1: "a", (1, 2): "b"}, {"!path": "mine"}, {"!": 1}, pathlib.Path("/abs/path")],
        *[Style(2.0), Shade.DARK, Settings(project="q", tags=("a",)), Style, len, np.float64(2.5)],
    ],
)
def test_arguments_arrive(value: Any) -> None:
    """An argument of each kind arrives equal, by position and by keyword."""
    assert built(Custom(value, option=value)).given == ((value,), {"option": value})


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(plain_values)
def test_plain_arguments_arrive(value: Any) -> None:
    """Whatever is made of plain values arrives equal and of the same types."""
    arrived = plain.restore(plain.to_plain(value, "it"), load)
    assert (arrived, repr(arrived)) == (value, repr(value))


def test_special_arguments() -> None:
    """Streams, database engines, relative paths and other trackers have a form of their own."""
    url = "postgresql+psycopg://me:secret@host/db"
    engine = create_engine("sqlite:///some.db")
    tracker = Custom(
        sys.stdout, engine, pathlib.Path("rel"), loader=CSVDumper(par_dir=pathlib.Path("/p"))
    )
    (stream, found, path), options = built(tracker).given
    assert stream is sys.stdout
    assert (found, path) == ("sqlite:///some.db", pathlib.Path.cwd() / "rel")
    assert isinstance(options["loader"], CSVDumper)
    assert options["loader"].declared_kwargs == {"par_dir": pathlib.Path("/p")}
    from sqlalchemy import make_url

    assert built(Custom(make_url(url))).given[0] == (url,)


@pytest.mark.parametrize("value", [threading.Lock(), (each for each in "ab"), sys._getframe()])
def test_arguments_that_cannot_be_handed_over(value: Any) -> None:
    """What can be neither converted nor pickled is refused, saying what to do instead."""
    with pytest.raises(TrackerArgumentError) as caught:
        declare(Custom(option=[1, value]))
    said = str(caught.value)
    assert f"Argument option of tracker Custom is a {type(value).__name__}, which cannot" in said
    assert "in its method setup" in said
    assert "\n" not in said


def test_cyclic_arguments_are_refused() -> None:
    """An argument that holds itself is refused."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    with pytest.raises(TrackerArgumentError, match="too deep"):
        declare(Custom(cyclic))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (MemoryTracker, "subscribe MemoryTracker()"),
        (object(), "derive it from drytorch_trackers.Tracker"),
        (3, "int is not a tracker"),
    ],
)
def test_what_is_no_tracker_is_refused(wrong: Any, said: str) -> None:
    """What is no tracker is refused at subscription, in a sentence that names it."""
    with pytest.raises(NotATrackerError) as caught:
        Subscriptions("Exp", {}).subscribe(wrong)
    assert said in str(caught.value)


def test_short_names_are_those_installed() -> None:
    """Short names stand for classes, without importing them."""
    assert declare("csv") == Declaration(name="CSVDumper", target="csv")
    assert full_target("csv") == "drytorch_trackers.csv_file:CSVDumper"
    points = importlib.metadata.entry_points(group="drytorch_trackers")
    assert all(declare(point.name).target == point.name for point in points)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cvs", "did you mean csv?"),
        ("zzzz", "use one of console, csv"),
        ("/nowhere/own.py:Own", "there is no file /nowhere/own.py"),
        ("two words:X", "no tracker named"),
    ],
)
def test_unknown_names(name: str, said: str) -> None:
    """An unknown name is refused at subscription, naming the nearest or the file."""
    with pytest.raises(UnknownTrackerError) as caught:
        Subscriptions("Exp", {}).subscribe(name)
    assert said in str(caught.value)
    assert caught.value.tracker == name


OWN = """
from drytorch_trackers import Tracker

class Own(Tracker):
    pass

class Needy(Tracker):
    def __init__(self, metric, *, scale, unit="s"):
        pass

class Typo(Tracker):
    def on_metrics(self, event):
        pass

class Plain:
    pass

function = print
"""


def test_files_become_absolute(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker named by a file is found from any folder, one named by a module is looked at."""
    (tmp_path / "own_one.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    assert declare("own_one.py:Own").target == f"{tmp_path}/own_one.py:Own"
    assert declare("own_one:Own") == Declaration(name="Own", target="own_one:Own")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("Needy", TrackerArgumentError, "own_two:Needy needs metric, scale: subscribe an object"),
        ("Typo", NotATrackerError, "Typo.on_metrics would never be called: did you mean on_metric"),
        ("Plain", NotATrackerError, "Plain is not a tracker: derive it"),
        ("function", NotATrackerError, "print is not a tracker"),
        ("Onw", UnknownTrackerError, "there is no Onw in own_two, did you mean Own?"),
    ],
)
def test_named_trackers_are_looked_at(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: type[Exception],
    said: str,
) -> None:
    """What a name leads to is checked at subscription, before a run relies on it."""
    (tmp_path / "own_two.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    before = [*sys.path]
    with pytest.raises(error) as caught:
        Subscriptions("Exp", {}).subscribe(f"own_two:{name}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sys.path == before


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("import nowhere_at_all", NotImportableError, "No module named 'nowhere_at_all'."),
        ("1 / 0", NotImportableError, "cannot be loaded: ZeroDivisionError: division by zero."),
        ("", UnknownTrackerError, "there is no Own in"),
    ],
)
def test_modules_that_cannot_be_loaded(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    error: type[Exception],
    said: str,
) -> None:
    """A tracker's module that raises, or has no such class, is refused in one line."""
    (tmp_path / "own.py").write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        declare("own.py:Own")
    assert said in str(caught.value)
    with pytest.raises(UnknownTrackerError, match="there is no module nowhere"):
        declare("nowhere.at.all:Own")


def test_own_trackers_are_not_loaded() -> None:
    """This distribution's trackers are subscribed by name without what they need in a worker."""
    code = (
        "import sys; from drytorch_client.declarations import declare\n"
        "for name in ('console', 'progress', 'csv'): declare(name)\n"
        "print(*{'tqdm', 'drytorch_trackers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_subscribing_and_removing() -> None:
    """Trackers are known by their class or by a name of the user's, each name once."""
    trackers = Subscriptions("Exp", {})
    memory = MemoryTracker()
    trackers.subscribe(memory, "csv", second=CSVDumper(par_dir=pathlib.Path("/p")))
    assert trackers.names == ["MemoryTracker", "CSVDumper", "second"]
    assert trackers.named_trackers["MemoryTracker"] is memory
    with pytest.raises(TrackerAlreadyRegisteredError, match="CSVDumper"):
        trackers.subscribe(CSVDumper())
    trackers.remove("CSVDumper")
    with pytest.raises(TrackerNotUsedError, match="subscribed are MemoryTracker, second"):
        trackers.remove("CSVDumper")
    assert trackers.objects()[0] is memory
    trackers.remove_all()
    assert trackers.declarations() == []


def test_options_are_those_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was switched after the subscription, before the start, reaches the worker."""
    trackers = Subscriptions("Exp", {})
    trackers.subscribe(BuiltinLogger())
    before = trackers.declarations()[0].kwargs
    switches = sys.modules["drytorch_trackers.console_switches"]
    monkeypatch.setattr(switches, "_switched", {"verbosity": 7})
    assert trackers.declarations()[0].kwargs == before | {"verbosity": 7}
    default = Declaration(name="BuiltinLogger", target="console", kwargs={"verbosity": 23})
    assert with_handed_over([default])[0].kwargs == {"verbosity": 7}


def test_handed_over_trackers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command hands over is added with its options, but not what is there already."""
    subscribed = [declare(CSVDumper()), Declaration(name="MemoryTracker", target="other:It")]
    handed = '[{"target": "csv"}, {"target": "memory", "options": {"size": 3}}]'
    monkeypatch.setenv("DRYTORCH_TRACKERS", handed)
    assert with_handed_over(subscribed) == [
        *subscribed,
        Declaration(name="MemoryTracker_1", target="memory", kwargs={"size": 3}),
    ]


def test_handed_over_options_that_lose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options of the command that the script's own tracker overrides are named in one line."""
    monkeypatch.setattr(messages._Said, "warnings", set())
    subscribed = [declare(CSVDumper(par_dir=pathlib.Path("/p")))]
    for option, lines in (("/p", 0), ("/q", 1)):
        handed = [{"target": "csv", "options": {"par_dir": option}}]
        monkeypatch.setenv("DRYTORCH_TRACKERS", json.dumps(handed))
        assert with_handed_over(subscribed) == subscribed
        err = capsys.readouterr().err
        assert err.count("\n") == lines
        assert not lines or "par_dir given to `drytorch run` has no effect" in err


@pytest.mark.parametrize("text", ["csv", "{}", "[1]", '[{"name": "csv"}]'])
def test_a_malformed_variable(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A variable that the command did not write is refused, naming it."""
    monkeypatch.setenv("DRYTORCH_TRACKERS", text)
    with pytest.raises(HandoverVariableError, match="DRYTORCH_TRACKERS"):
        with_handed_over([])
