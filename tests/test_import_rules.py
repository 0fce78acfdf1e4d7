"""Who may import whom: the arrows between the packages, cycles, and backend libraries."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "drytorch_schemas": ROOT / "schemas" / "drytorch_schemas",
    "drytorch_client": ROOT / "drytorch_client",
    "drytorch_broker": ROOT / "drytorch_broker",
    "drytorch_trackers": ROOT / "trackers" / "drytorch_trackers",
}
ARROWS: dict[str, set[str]] = {
    "drytorch_schemas": set(),
    "drytorch_client": {"drytorch_schemas"},
    "drytorch_broker": {"drytorch_schemas"},
    "drytorch_trackers": {"drytorch_client", "drytorch_schemas"},
}
# A library, and the modules (or packages, with all that is in them) that may import it.
BACKENDS: dict[str, set[str]] = {
    "drytorch": {"drytorch_trackers.dry_bridge"},
    "hydra": {"drytorch_trackers.hydra_link"},
    "matplotlib": {"drytorch_trackers.matplotlib_plot"},
    "plotly": {"drytorch_trackers.plotly_plot"},
    "sqlalchemy": {
        f"drytorch_trackers.sql_{name}"
        for name in ("address", "check", "database", "reader", "runs", "store", "tables", "writer")
    },
    "tensorboard": {"drytorch_trackers.tensorboard_log"},
    "torch": {"drytorch_client.checkpoint", "drytorch_client.tensors"},
    "tqdm": {"drytorch_trackers.progress_bar"},
    "visdom": {"drytorch_trackers.visdom_plot"},
    "wandb": {"drytorch_trackers.wandb_run"},
    "yaml": {"drytorch_trackers.yaml_format"},
}
# What runs code when it reads data, and the one module that may use it.
CODE_FROM_DATA = {"_pickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
HANDOVER = "drytorch_client.handover"
SOCKETS = {"socket", "zmq"}  # nothing for `drytorch_schemas`
HEAVY = set(BACKENDS) | {"numpy"}


@dataclass(frozen=True)
class Import:
    """One module that one line imports; `typing_only` under `if TYPE_CHECKING`."""

    importer: str
    line: int
    target: str
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


class Reader(ast.NodeVisitor):
    """Collect the imports of one module, at its top and inside its functions."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.typing_only = False
        self.found: list[Import] = []

    def visit_Import(self, node: ast.Import) -> None:
        """Take `import a.b`."""
        for alias in node.names:
            self.add(node.lineno, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Take `from a import b`, where b may be a module: `exact` decides."""
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
        for alias in node.names:
            self.add(node.lineno, f"{base}.{alias.name}")

    def visit_Call(self, node: ast.Call) -> None:
        """Take `import_module('a.b')` and `__import__('a.b')`."""
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in {"import_module", "__import__"} and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                self.add(node.lineno, argument.value)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """Note which imports only type checkers see."""
        if ast.unparse(node.test).rpartition(".")[2] != "TYPE_CHECKING":
            self.generic_visit(node)
            return
        outer, self.typing_only = self.typing_only, True
        for child in node.body:
            self.visit(child)
        self.typing_only = outer
        for child in node.orelse:
            self.visit(child)

    def add(self, line: int, target: str) -> None:
        """Keep one import."""
        self.found.append(Import(self.module, line, target, self.typing_only))


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the file of each module of the four packages."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def read(module: str, source: str, *, is_package: bool = False) -> list[Import]:
    """Return the imports of one module."""
    reader = Reader(module, is_package=is_package)
    reader.visit(ast.parse(source))
    return reader.found


def all_imports() -> list[Import]:
    """Return the imports of all four packages."""
    return [
        found
        for module, path in modules()
        for found in read(
            module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py"
        )
    ]


def top(module: str) -> str:
    """Return the outermost package of a dotted name."""
    return module.partition(".")[0]


def wrong_arrows(imports: list[Import]) -> list[str]:
    """Name the imports from one of our packages into another that the arrows do not allow."""
    return [
        str(found)
        for found in imports
        if top(found.target) in ARROWS
        and top(found.target) not in ARROWS[top(found.importer)] | {top(found.importer)}
    ]


def stray_backends(imports: list[Import]) -> list[str]:
    """Name the imports of a backend library outside its own module."""
    return [
        str(found)
        for found in imports
        if not found.typing_only
        and top(found.target) in BACKENDS
        and not any(
            f"{found.importer}.".startswith(f"{owner}.") for owner in BACKENDS[top(found.target)]
        )
    ]


def picklers(imports: list[Import]) -> list[str]:
    """Name the imports of what makes code of data, outside the module that hands trackers over."""
    return [
        str(found)
        for found in imports
        if top(found.target) in CODE_FROM_DATA and found.importer != HANDOVER
    ]


def exact(target: str, known: set[str]) -> str | None:
    """Return the module of ours that an import loads, if any."""
    if target in known:
        return target
    parent = target.rpartition(".")[0]
    return parent if parent in known else None


def cycle(imports: list[Import], known: set[str]) -> list[str]:
    """Return one import cycle among our modules, or nothing."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        target = exact(found.target, known)
        if target is not None and not found.typing_only:
            graph.setdefault(found.importer, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def test_arrows() -> None:
    """Our packages import each other only along the arrows."""
    assert wrong_arrows(all_imports()) == []


@pytest.mark.parametrize(
    ("module", "source", "count"),
    [
        ("drytorch_schemas.events", "import drytorch_client", 1),
        ("drytorch_client.run", "def f():\n    from drytorch_trackers.base import Tracker", 1),
        ("drytorch_client.run", "importlib.import_module('drytorch_trackers')", 1),
        ("drytorch_broker.cli", "from drytorch_client import control", 1),
        ("drytorch_trackers.cli", "import drytorch_broker.server", 1),
        ("drytorch_trackers.worker", "from drytorch_client import control", 0),
        ("drytorch_client.run", "from .sender import Sender\nimport drytorch_schemas", 0),
    ],
)
def test_arrow_rule(module: str, source: str, count: int) -> None:
    """The arrow rule sees imports at the top, in functions and by name."""
    assert len(wrong_arrows(read(module, source))) == count


def test_backends_stay_in_their_modules() -> None:
    """A backend library is imported only by the modules that `BACKENDS` names for it."""
    assert stray_backends(all_imports()) == []


@pytest.mark.parametrize(
    ("module", "source", "count"),
    [
        ("drytorch_client.run", "import torch.nn", 1),
        ("drytorch_trackers.yaml_format", "import yaml", 0),
        ("drytorch_trackers.yaml_format.rules", "def f():\n    import yaml", 0),
        ("drytorch_trackers.yaml_format_2", "import yaml", 1),
        ("drytorch_client.run", "if TYPE_CHECKING:\n    import torch\nelse:\n    import wandb", 1),
    ],
)
def test_backend_rule(module: str, source: str, count: int) -> None:
    """The backend rule knows owners and what they contain, and lets type checkers look."""
    assert len(stray_backends(read(module, source))) == count


def test_one_module_pickles() -> None:
    """Nothing but the handover to a process's own workers imports what makes code of data."""
    found = all_imports()
    assert picklers(found) == []
    users = {each.importer for each in found if exact(each.target, {HANDOVER})}
    assert users == {"drytorch_client.declarations"}


@pytest.mark.parametrize(
    ("module", "source", "count"),
    [
        ("drytorch_trackers.worker", "def f():\n    from pickle import loads", 1),
        ("drytorch_broker.log", "import cloudpickle.cloudpickle", 1),
        ("drytorch_client.plain", "importlib.import_module('dill')", 1),
        (HANDOVER, "import cloudpickle, pickle", 0),
    ],
)
def test_pickle_rule(module: str, source: str, count: int) -> None:
    """The rule on pickling sees imports at the top, in functions and by name."""
    assert len(picklers(read(module, source))) == count


def test_schemas_know_no_sockets() -> None:
    """`drytorch_schemas` turns events into bytes and imports nothing that sends them."""
    imports = [found for found in all_imports() if top(found.importer) == "drytorch_schemas"]
    assert [str(found) for found in imports if top(found.target) in SOCKETS] == []


def test_no_import_cycles() -> None:
    """No module of ours imports itself through others, not even inside functions."""
    assert cycle(all_imports(), {module for module, _ in modules()}) == []


@pytest.mark.parametrize(
    ("back", "found"),
    [
        ("from p.a import x", True),
        ("from p import a", True),
        ("from . import a", True),
        ("def f():\n    from .a import x", True),
        ("if TYPE_CHECKING:\n    from p import a", False),
        ("from p import x", False),
    ],
)
def test_cycle_rule(back: str, found: bool) -> None:  # noqa: FBT001
    """The cycle rule resolves absolute and relative imports and ignores what is for types only."""
    imports = [*read("p.a", "from p.b import y"), *read("p.b", back)]
    assert bool(cycle(imports, {"p", "p.a", "p.b"})) == found


def loaded_by(module: str, names: set[str], folder: Path) -> set[str]:
    """Import a module in a fresh interpreter and return which of `names` that has loaded."""
    code = f"import sys, {module}; print(*sorted({names!r} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("drytorch_schemas", HEAVY | {"drytorch_client", "typer", "zmq"}),
        ("drytorch_client", HEAVY | {"drytorch_broker", "drytorch_trackers", "typer"}),
        ("drytorch_broker", HEAVY | {"drytorch_client", "drytorch_trackers"}),
        ("drytorch_trackers", HEAVY | {"drytorch_broker", "typer"}),
    ],
)
def test_imports_stay_light(tmp_path: Path, module: str, names: set[str]) -> None:
    """Importing a package loads neither a backend library nor a package it does not need."""
    assert loaded_by(module, names, tmp_path) == set()


def test_light_import_check(tmp_path: Path) -> None:
    """The check of light imports sees what an import loads."""
    assert loaded_by("sqlalchemy", HEAVY, tmp_path) == {"sqlalchemy"}
