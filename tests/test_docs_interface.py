"""The page on the Python interface has what the classes have: names, signatures and sentences."""

import re
from typing import Any

import pytest

import drytorch_client
import drytorch_trackers
from drytorch_client import errors as client_errors
from drytorch_client.subscriptions import Subscriptions
from drytorch_trackers import Tracker
from interface import members, sentence, signature
from pages import REFERENCE, named, rows, section

PAGE = "api.md"
CLASSES: dict[str, type] = {
    "Experiment": drytorch_client.Experiment,
    "experiment.trackers": Subscriptions,
    "Run": drytorch_client.Run,
    "Model": drytorch_client.Model,
    "Actor": drytorch_client.Actor,
    "Epoch": drytorch_client.Epoch,
    "Evaluation": drytorch_client.Evaluation,
    "Tracker": Tracker,
    "MetricLoader": drytorch_trackers.MetricLoader,
    "Delivery": drytorch_trackers.Delivery,
    "TrackerContext": drytorch_trackers.TrackerContext,
}
#: What other parts of this project call, and users do not.
INSIDE = frozenset(
    {
        *("plan_of", "plain_config", "plain_tags"),
        *("declarations", "objects", "named_trackers"),
        *("emit_metrics", "hold", "open_pass", "close_pass", "report_update", "require_active"),
        *("register", "next_pass", "close"),
        *("current", "declared", "declared_args", "declared_kwargs", "broken_rule", "handle"),
        *("make_current", "reset_current", "clean_up_once"),
    }
)


def expected(cls: type) -> list[list[str]]:
    """Return the rows of a class; a tracker's own methods for events have a page of their own."""
    known = [] if cls is Tracker or not issubclass(cls, Tracker) else expected(Tracker)
    found = [
        [f"`{name}`", text]
        for name, text in members(cls, INSIDE)
        if name not in INSIDE and not name.startswith("on_")
    ]
    return [cells for cells in found if cells not in known]


@pytest.mark.parametrize("heading", CLASSES)
def test_members_are_those_of_the_class(heading: str) -> None:
    """A class's table has each member that users call, as it is now."""
    table = [list(cells) for cells in rows(section(PAGE, f"`{heading}`"))]
    wanted = expected(CLASSES[heading])
    assert table == wanted, "the table should be:\n" + "\n".join(
        f"| {' | '.join(cells)} |" for cells in wanted
    )


@pytest.mark.parametrize("name", ["init_trackers", "extend_default_trackers",
                                  "remove_all_default_trackers"])  # fmt: skip
def test_functions_are_those_of_the_page(name: str) -> None:
    """The table of functions has each one with its signature and its sentence."""
    function: Any = getattr(drytorch_client, name)
    table = named(section(PAGE, "Functions"))
    assert table[signature(name, function)][1] == sentence(function)


def test_every_public_name_is_on_the_page() -> None:
    """What the two packages export is on the page, or a tracker that has its own page."""
    pages = (REFERENCE / PAGE, REFERENCE / "trackers.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    exported = {*drytorch_client.__all__, *drytorch_trackers.__all__}
    assert sorted(name for name in exported if not re.search(rf"\b{name}\b", text)) == []


def test_errors_are_those_of_the_page() -> None:
    """The table of errors has each class of the client's tree with what it means."""
    table = {name: cells[1] for name, cells in named(section(PAGE, "Errors and warnings")).items()}
    found = {
        name: sentence(thing)
        for name, thing in vars(client_errors).items()
        if isinstance(thing, type) and thing.__module__ == client_errors.__name__
    }
    assert table == found, "the table should be:\n" + "\n".join(
        f"| `{name}` | {text} |" for name, text in found.items()
    )


def test_first_signature_is_the_experiment_s() -> None:
    """The page names the constructor that everything begins with, as it is."""
    made = signature("Experiment", drytorch_client.Experiment.__init__)
    assert made in (REFERENCE / PAGE).read_text(encoding="utf-8")
