"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "schemas/drytorch_schemas",
    "drytorch_client",
    "drytorch_broker",
    "trackers/drytorch_trackers",
)
MAX_LINES = 300
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
# Written so that this file passes its own rule.
MACHINE_PATH = re.compile(r"(?<![\w.~*-])/(?:work|opt|root|home/[a-z]+/work)/")
REGISTRY_HOSTS = (
    "pypi[.]org",
    "pythonhosted[.]org",
    "npmjs[.](?:org|com)",
    "download[.]pytorch[.]org",
    "proxy[.]golang[.]org",
    "crates[.]io",
)
REGISTRY_HOST = re.compile("|".join(REGISTRY_HOSTS))
SENTENCE = re.compile(r"(?!.*[.!?]\s+[A-Z]).+[.!?]")


def collected(tree: ast.Module) -> Iterator[FUNCTION]:
    """Yield what pytest would collect from a test file: functions, and methods of classes."""
    bodies = [tree.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ClassDef):
                bodies.append(node.body)
            elif isinstance(node, FUNCTION) and node.name.startswith("test"):
                yield node


def undescribed(source: str) -> list[str]:
    """Name the tests in `source` whose docstring is not exactly one sentence."""
    return [
        f"{node.lineno} {node.name}"
        for node in collected(ast.parse(source))
        if not SENTENCE.fullmatch(" ".join((ast.get_docstring(node) or "").split()))
    ]


def python_files(folder: str) -> list[Path]:
    """List the Python files under a folder of the repository."""
    return sorted((ROOT / folder).rglob("*.py"))


def tracked_files() -> list[Path]:
    """List what git tracks and the working tree has."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]


def private_places(text: str) -> list[str]:
    """Return the machine paths and registry hosts that `text` mentions."""
    return MACHINE_PATH.findall(text) + REGISTRY_HOST.findall(text)


def test_every_test_says_what_it_proves() -> None:
    """Every test function has a docstring of one sentence."""
    found = [
        f"{path.relative_to(ROOT)}:{name}"
        for path in python_files("tests")
        for name in undescribed(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("docstring", "good"),
    [
        ("", False),
        ('"""No full stop"""', False),
        ('"""One. Two."""', False),
        ('"""One.\n\n    Two."""', False),
        ('"""Version 1.5 counts as one."""', True),
        ('"""It may\n    span lines."""', True),
    ],
)
def test_docstring_rule(docstring: str, good: bool) -> None:  # noqa: FBT001
    """The docstring rule tells one sentence from none and from two, also in classes."""
    function = f"def test_it():\n    {docstring}\n    assert True\n"
    method = "class TestIt:\n" + "".join(f"    {line}\n" for line in function.split("\n"))
    assert [undescribed(function) == [], undescribed(method) == []] == [good, good]


def test_no_file_is_too_long() -> None:
    """No file of the four packages is over the limit of lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in python_files(package)
    }
    assert len(lengths) >= len(PACKAGES)
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_nothing_private_is_tracked() -> None:
    """No tracked file mentions a path of somebody's machine or the host of a package registry."""
    found = {
        str(path.relative_to(ROOT)): places
        for path in tracked_files()
        if (places := private_places(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("see /{}/main".format("work"), 1),
        ("'/{}/wheels'".format("opt"), 1),
        ("https://pypi{}org/simple".format("."), 1),
        ("artefacts/work/main and ./opt/x", 0),
        ("pip install drytorch-bus", 0),
    ],
)
def test_private_place_rule(text: str, count: int) -> None:
    """The rule on private places finds them and leaves relative paths alone."""
    assert len(private_places(text)) == count
