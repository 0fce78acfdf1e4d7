"""The documentation says what the code does: links, commands and examples."""

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer

from deliveries import deliver, metric, start
from drytorch_broker import cli as broker_cli
from drytorch_broker import exit_codes as broker_codes
from drytorch_schemas.envelope import encode
from drytorch_trackers import exit_codes as tracker_codes
from drytorch_trackers import registry
from drytorch_trackers.cli import app as tracker_cli
from drytorch_trackers.hosted import Pace
from drytorch_trackers.replay import ReplayOptions, replay
from pages import REFERENCE, ROOT, anchors, code_of, named, rows, section, text_of

PAGES = [ROOT / "README.md", ROOT / "schemas/PROTOCOL.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = ("drytorch_client", "drytorch_broker", "schemas", "trackers")
FOR_TESTS_ONLY = {"DRYTORCH_FAILPOINT"}
NAMES_OF_USERS = {"file.py", "train.py"}


def commands() -> dict[str, Any]:
    """Return all subcommands by what a user types."""
    found: dict[str, Any] = {}
    for program, app in (("drytorch", tracker_cli.app), ("drytorch-broker", broker_cli.app)):
        group: Any = typer.main.get_command(app)
        found |= {f"{program} {name}": each for name, each in group.commands.items()}
    return found


COMMANDS = commands()


def options(command: Any) -> dict[str, Any]:
    """Return a command's options by name."""
    return {
        name: each
        for each in command.params
        if each.param_type_name == "option" and not getattr(each, "hidden", False)
        for name in (*each.opts, *each.secondary_opts)
    }


def option_rows(command: str) -> dict[str, list[str]]:
    """Return the rows of a command's table by the options that they name."""
    found = {}
    for cells in rows(section("commands.md", f"`{command}`")):
        for span in re.findall(r"`(-[^`]*)`", cells[0]):
            found[span.split()[0]] = cells
    return found


# ---- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link in the documentation leads to a file, and each anchor to a heading."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_architecture_names_modules_that_exist() -> None:
    """Each module that the page on architecture names is there."""
    page = ROOT / "docs" / "explanation" / "architecture.md"
    there = {path.name for folder in SOURCES for path in (ROOT / folder).rglob("*.py")}
    assert set(re.findall(r"\b\w+\.py\b", text_of(page))) - there - NAMES_OF_USERS == set()


# ---- commands


def test_commands_are_those_of_the_page() -> None:
    """The reference page has one section for each command of both programs, and no other."""
    headings = re.findall(r"^## `(.+)`$", text_of(REFERENCE / "commands.md"), re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_those_of_the_page(name: str) -> None:
    """A command's section lists each of its options and no other, with the true default."""
    known, described = options(COMMANDS[name]), option_rows(name)
    assert set(described) == set(known)
    for option, each in known.items():
        default = getattr(each.default, "value", each.default)
        if default not in (None, False, [], ()) and not callable(default):
            text = f"{default:g}" if isinstance(default, float) else str(default)
            assert described[option][2].strip("`").split(" ")[0] == text, option


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_use_what_commands_have(page: Path) -> None:
    """Each command line in the documentation names a command, and options that it has."""
    lines = re.findall(r"^ {4}(drytorch(?:-broker)? .+)$", text_of(page), re.MULTILINE)
    lines += re.findall(r"`(drytorch(?:-broker)? [a-z]+ [^`]+)`", text_of(page))
    for line in lines:
        words = shlex.split(line.partition(" # ")[0].replace("[", "").replace("]", ""))
        words = words[: words.index("--")] if "--" in words else words
        words = words[: words.index("|")] if "|" in words else words
        used = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert used <= set(options(COMMANDS[" ".join(words[:2])])), line


def test_exit_codes_are_those_of_the_page() -> None:
    """The table of exit codes has each code of either program and says which one uses it."""
    table = {int(cells[0]): cells[1:3] for cells in rows(section("commands.md", "Exit codes"))}
    for column, module in enumerate((broker_codes, tracker_codes)):
        codes = {value for name, value in vars(module).items() if name.isupper()}
        assert {code for code, cells in table.items() if cells[column] == "yes"} == codes


def test_environment_variables_are_those_of_the_page() -> None:
    """The table of variables has each one of this project that the code reads, and no other."""
    pattern = re.compile(r'"((?:DRYTORCH|XDG)_[A-Z_]+)"')
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    read = {name for path in files for name in pattern.findall(path.read_text(encoding="utf-8"))}
    described = set(named(section("commands.md", "Environment variables")))
    ours = {name for name in described if name.startswith(("DRYTORCH_", "XDG_"))}
    assert ours == read - FOR_TESTS_ONLY


# ---- examples


def test_tracker_of_the_how_to_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tracker of the how-to, saved and named as it says, prints each new best loss."""
    page = ROOT / "docs" / "how-to" / "own-tracker.md"
    (tmp_path / "best_tracker.py").write_text("\n".join(code_of(page, "python")), encoding="utf-8")
    cls: Callable[..., Any] = registry.load(f"{tmp_path}/best_tracker.py:BestLoss")
    happened = [start(), metric(1, loss=0.5), metric(2, loss=0.75), metric(3, loss=0.25)]
    records = [(each.offset, encode(each.envelope)) for each in deliver(happened)]
    options = ReplayOptions(tmp_path)
    done = replay(records, {"best": cls()}, options, pace=Pace(lambda _: None), warn=pytest.fail)
    assert (done.events, done.failures) == (4, 0)
    assert capsys.readouterr().out.splitlines() == [
        "Trainer: best loss 0.5000 at epoch 1",
        "Trainer: best loss 0.2500 at epoch 3",
    ]


def test_entry_point_of_the_how_to_is_in_the_group() -> None:
    """The how-to's entry point is in the group that the registry looks into."""
    (block,) = code_of(ROOT / "docs" / "how-to" / "own-tracker.md", "toml")
    assert list(tomllib.loads(block)["project"]["entry-points"]) == [registry.GROUP]


# ---- pages


def test_pages_with_code_are_run() -> None:
    """Each page with Python blocks is named by a test that runs them."""
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    runners = [text for text in tests if "doc_blocks" in text or "code_of" in text]
    pages = [page.name for page in PAGES if code_of(page, "python")]
    assert [name for name in pages if not any(f'"{name}"' in text for text in runners)] == []


def test_index_has_every_page() -> None:
    """The index links each page of the documentation, and the README links the index."""
    index = ROOT / "docs" / "index.md"
    links = set(re.findall(r"\]\(([^)#\s]+)", text_of(index)))
    linked = {(index.parent / link).resolve() for link in links}
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in linked] == [
        "README.md",
        "docs/index.md",
    ]
    assert "(docs/index.md)" in text_of(ROOT / "README.md")


def test_picture_is_a_valid_one() -> None:
    """The README's picture is well-formed SVG with words for those who do not see it."""
    picture = ElementTree.parse(ROOT / "docs" / "overview.svg").getroot()  # noqa: S314  # ours
    assert picture.tag.endswith("svg")
    names = [element.tag.rpartition("}")[2] for element in picture]
    assert names[:2] == ["title", "desc"]
    assert "(docs/overview.svg)" in text_of(ROOT / "README.md")
