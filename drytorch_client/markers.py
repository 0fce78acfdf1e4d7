"""Marks that a representation needs beyond plain data, for the trackers that render it.

A mark is a map with one key that starts with `!`. A key of the user's own that starts with `!` gets
one more `!` in front; `user_key` takes it off again.

| mark | stands for |
|---|---|
| `{"!omitted": count}` | so many elements left out; None where unknown |
| `{"!literal": text}` | text over several lines, such as a tensor's |
"""

from __future__ import annotations

from typing import Any, Final

OMITTED: Final = "!omitted"
LITERAL: Final = "!literal"


def omitted(count: int | None = None) -> dict[str, int | None]:
    """Return the mark of elements that were left out.

    Args:
        count: how many; None where unknown.
    """
    return {OMITTED: count}


def literal(text: str) -> dict[str, str]:
    """Return the mark of text that is to be shown line by line."""
    return {LITERAL: text}


def is_mark(value: Any) -> bool:
    """Tell whether a value of a representation is a mark and not the user's own map."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in {OMITTED, LITERAL}


def safe_key(key: str) -> str:
    """Return a user's key in the form that no mark has."""
    return f"!{key}" if key.startswith("!") else key


def user_key(key: str) -> str:
    """Return the user's key that `safe_key` made safe."""
    return key[1:] if key.startswith("!!") else key
