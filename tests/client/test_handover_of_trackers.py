"""Classes and functions of a script reach the workers that this script starts, and nobody else."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from drytorch_client import declarations, handover, plain
from drytorch_client.declarations import Declaration, declare
from drytorch_client.errors import HandoverError, NotImportableError, TrackerArgumentError
from drytorch_client.workers import owed
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_trackers import CSVDumper, Tracker

HEAD = """
import functools, os, sys, threading
from pathlib import Path
from drytorch_client.declarations import declare
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas import events
from drytorch_schemas.control import Filter
from drytorch_trackers import CSVDumper, Tracker

def spec_of(tracker):
    declared = [declare(tracker)]
    return WorkerSpec(name="w", broker="x", declarations=declared, filter=Filter(), par_dir="/")
"""
TAIL = """
sys.stdout.buffer.write(spec_of({}).to_bytes())
"""
# the worker's side: another process, which knows nothing of the script
WORKER = """
import sys
from drytorch_client.workers.spec import WorkerSpec
from drytorch_trackers import registry
from drytorch_schemas import events

tracker = WorkerSpec.from_bytes(sys.stdin.buffer.read()).declarations[0].build(registry.load)
made = events.ModelRegistrationEvent.model_construct(model_name="net")
tracker.notify(made)
tracker.notify(events.EndEpochEvent.model_construct())
"""


def there_and_back(tmp_path: Path, script: str, tracker: str, *, command: str = "file") -> str:
    """Declare a tracker in one process, build it in another, and return what it prints there."""
    text = HEAD + textwrap.dedent(script) + TAIL.format(tracker)
    path = tmp_path / "script.py"
    path.write_text(text)
    start = [sys.executable, str(path)] if command == "file" else [sys.executable, "-c", text]
    spec = subprocess.run(start, capture_output=True, check=True, cwd=tmp_path).stdout
    path.unlink()
    worker = [sys.executable, "-P", "-c", WORKER]
    done = subprocess.run(worker, input=spec, capture_output=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


EVERYTHING = """
GREETING = ["hello"]

class Node:
    pass

@functools.singledispatch
def show(value):
    return "any"

@show.register
def _(value: list):
    return [show(each) for each in value]

@functools.cache
def square(number):
    return square(number - 1) + 2 * number - 1 if number else 0

class Parent(Tracker):
    def __init__(self, scale, *, folder):
        self.scale, self.folder = scale, folder

    @functools.singledispatchmethod
    def notify(self, event):
        return super().notify(event)

    @notify.register
    def _(self, event: events.ModelRegistrationEvent):
        print(event.model_name, GREETING, show([Node(), 1]), square(3), self.scale(2), self.kept)
        return super().notify(event)

    @functools.cached_property
    def kept(self):
        return str(self.folder)

class Child(Parent):
    def on_model_registration(self, event):
        print("child of", type(self).__mro__[1].__name__)

factor = 21
GREETING.append("world")
"""


@pytest.mark.parametrize("command", ["file", "text"])
def test_a_scripts_class_works_in_a_worker(tmp_path: Path, command: str) -> None:
    """A class of a script, or of `python -c`, comes with all that it inherits and refers to."""
    tracker = "Child(lambda number: number * factor, folder=Path('/some'))"
    printed = there_and_back(tmp_path, EVERYTHING, tracker, command=command)
    assert printed.splitlines() == [
        "net ['hello', 'world'] ['any', 'any'] 9 42 /some",
        "child of Parent",
    ]


def test_what_only_this_process_can_find_goes_along(tmp_path: Path) -> None:
    """A class of a module that was loaded under a name of its own is taken like the script's."""
    (tmp_path / "loaded.py").write_text(
        "from drytorch_trackers import Tracker\n"
        "def helper():\n    return 'helped'\n"
        "class Loaded(Tracker):\n"
        "    def on_model_registration(self, event):\n        print(helper())\n"
    )
    script = f"""
    import importlib.util
    spec = importlib.util.spec_from_file_location("odd_name", {str(tmp_path / "loaded.py")!r})
    module = sys.modules["odd_name"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    """
    assert there_and_back(tmp_path, script, "module.Loaded()") == "helped\n"


def test_a_local_class_with_another_one_inside(tmp_path: Path) -> None:
    """A local class works, and so does a local tracker as its argument, built by its own class."""
    script = """
    def made():
        class Inner(Tracker):
            def __init__(self, text):
                self.text = text

        class Outer(Tracker):
            def __init__(self, inner):
                self.inner = inner

            def on_model_registration(self, event):
                print(self.inner.text, isinstance(self.inner, Inner))

        inner = Inner("given")
        inner.text = "changed later"
        return Outer(inner)
    """
    assert there_and_back(tmp_path, script, "made()") == "given True\n"


def test_members_of_a_scripts_enumerations(tmp_path: Path) -> None:
    """A member that is a text or a number as well arrives as the member that it is."""
    script = """
    import enum

    class Color(str, enum.Enum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    class Paint(Tracker):
        def __init__(self, color, level):
            self.given = color, level

        def on_model_registration(self, event):
            print(self.given == ("red", 3), *(type(each).__name__ for each in self.given))
    """
    shown = there_and_back(tmp_path, script, "Paint(Color.RED, level=Level.HIGH)")
    assert shown == "True Color Level\n"


class Uses(Tracker):
    """A tracker with any arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.given = args, kwargs


def test_importable_parts_stay_plain() -> None:
    """Only what has no plain form is pickled, and equal parts stay one object."""
    shared = [1]

    def read() -> list[int]:
        return shared

    def add() -> None:
        shared.append(2)

    tracker = CSVDumper(par_dir=Path("/p"))
    declared = declare(Uses(read, 5, add=add, other=tracker))
    assert declared.handed_over
    assert declared.args == [{"!handed": 0}, 5]
    assert declared.kwargs["add"] == {"!handed": 1}
    assert declared.kwargs["other"]["!tracker"]["target"].endswith(":CSVDumper")
    built = declared.build(plain.import_object)
    (got, five), options = built.given
    options["add"]()
    assert (got(), five) == ([1, 2], 5)


def lock_user() -> type[Tracker]:
    """Return a class that refers to a lock and an open file."""
    lock = threading.Lock()

    class Locking(Tracker):
        def on_metric(self, event: Any) -> None:
            with lock:
                self.event = event

    return Locking


def test_what_cannot_be_pickled_is_named() -> None:
    """A class that refers to a lock is refused, naming tracker, variable and what to do."""
    with pytest.raises(NotImportableError) as caught:
        declare(lock_user()())
    assert str(caught.value) == (
        "Tracker Locking uses lock, a lock that cannot be handed to a worker (TypeError: cannot "
        "pickle '_thread.lock' object): let it make its own, in its method setup."
    )


def test_large_data_is_refused() -> None:
    """Megabytes that a tracker would take along are refused with their size and the limit."""
    data = bytes(handover.MAX_CODE_BYTES)
    with pytest.raises(TrackerArgumentError, match=f"more than the {handover.MAX_CODE_BYTES}"):
        declare(Uses(lambda: data))


def spec_with(declaration: Declaration) -> WorkerSpec:
    """Return a worker with one tracker, that is to be kept on the owed list."""
    file = str(owed.owed_file("w"))
    return WorkerSpec(
        name="w", broker="x", declarations=[declaration], filter=Filter(), par_dir="/", owed=file
    )


def test_code_goes_over_the_pipe_only() -> None:
    """Pickled bytes are in what a worker reads, and in no file, dump or text."""
    secret = "only-by-pipe"  # noqa: S105 - a mark to look for
    spec = spec_with(declare(Uses(lambda: secret)))
    assert secret.encode() in spec.to_bytes()
    assert WorkerSpec.from_bytes(spec.to_bytes()) == spec
    owed.put(spec)
    for text in (
        Path(spec.owed).read_bytes(),
        str(spec.model_dump()).encode(),
        repr(spec).encode(),
    ):
        assert secret.encode() not in text


def test_an_owed_one_is_only_named() -> None:
    """What comes back from the owed list says what it is, cannot be started, and says so."""
    spec = spec_with(declare(Uses(lambda: 1)))
    owed.put(spec)
    (found,) = owed.pending()
    assert (spec.startable, found.spec.startable) == (True, False)
    (declared,) = found.spec.declarations
    assert (declared.name, declared.handed_over) == ("Uses", True)
    with pytest.raises(HandoverError, match="Tracker Uses is defined in a training that is gone"):
        declared.build(plain.import_object)


def test_a_file_cannot_bring_code() -> None:
    """Bytes that somebody puts into a dumped description are not taken for code."""
    spec = spec_with(declare(Uses(lambda: 1)))
    fields = spec.model_dump()
    for name in ("code", "_code"):
        fields["declarations"][0][name] = spec.declarations[0].code
    (declared,) = WorkerSpec.model_validate(fields).declarations
    assert declared.code == b""


def test_code_that_cannot_be_rebuilt() -> None:
    """Whatever goes wrong while unpickling is one line with the reason."""
    for code in (b"no pickle", handover.hand_over("Uses", None, {"it": Uses})[:-9]):
        broken = Declaration(name="Uses", target="m:Uses").with_code(code)
        with pytest.raises(HandoverError, match="Tracker Uses of the training's script") as caught:
            broken.build(plain.import_object)
        assert "\n" not in str(caught.value)


def test_plain_declarations_need_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that can be imported is declared and built without the module that pickles."""
    monkeypatch.setitem(sys.modules, "drytorch_client.handover", None)
    declared = declarations.declare(CSVDumper(par_dir=Path("/p")))
    assert not declared.handed_over
    assert isinstance(declared.build(plain.import_object), CSVDumper)
