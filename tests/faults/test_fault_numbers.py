"""Every fault that a promise is tested against has a test, or a sentence that says why not."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "reliability.md"
#: Groups of faults, and how many there are in each: the training process (A), delivery (B), the
#: journal (C), workers (D), replay (E).
GROUPS = {"A": 30, "B": 11, "C": 20, "D": 19, "E": 7}
NUMBERS = re.compile(r"\(((?:[A-E]\d{1,2}(?:, )?)+)\)")


def numbers_in(text: str) -> list[str]:
    """Return the numbers in a text: a list of them in brackets."""
    return [number for found in NUMBERS.findall(text) for number in found.split(", ") if number]


def described() -> dict[str, list[str]]:
    """Return the tests by number, from all docstrings of tests."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                for number in numbers_in(ast.get_docstring(node) or ""):
                    found[number].append(f"{path.name}::{node.name}")
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_every_fault_is_met(group: str) -> None:
    """Each number of a group stands in a test's docstring, or on the page on reliability."""
    expected = [f"{group}{number}" for number in range(1, GROUPS[group] + 1)]
    there = {*described(), *numbers_in(PAGE.read_text())}
    assert [number for number in expected if number not in there] == []


def test_no_number_is_invented() -> None:
    """No test names a fault that is not on the list."""
    known = {f"{group}{n}" for group, count in GROUPS.items() for n in range(1, count + 1)}
    assert {number: tests for number, tests in described().items() if number not in known} == {}
