"""The documentation's pages, taken apart for tests."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def text_of(page: Path) -> str:
    """Return a page without its fenced code blocks."""
    return re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def code_of(page: Path, language: str) -> list[str]:
    """Return a page's fenced code blocks of one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def anchors(page: Path) -> set[str]:
    """Return what a link can lead to within a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def section(page: str, heading: str) -> str:
    """Return what stands below a heading of a reference page, up to the next one of its level."""
    parts = re.split(r"^## (.+)$", text_of(REFERENCE / page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of tables, without their header lines."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        heads = lines[number + 1].startswith("|---") if number + 1 < len(lines) else False
        if line.startswith("|") and not line.startswith("|---") and not heads:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def named(text: str) -> dict[str, list[str]]:
    """Return the tables' rows by their first cell, without its backquotes."""
    return {cells[0].strip("`"): cells for cells in rows(text)}


def shown(name: str, value: object) -> str:
    """Return a value as the reference pages write it."""
    if isinstance(value, int) and not isinstance(value, bool):
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
            if "bytes" in name.lower() and value and value % size == 0:
                return f"{value // size} {unit}"
        return f"{value:,}"
    return repr(value)
