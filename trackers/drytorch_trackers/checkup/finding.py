"""What was found about one topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Finding:
    """One topic.

    Attributes:
        topic: one word or two.
        text: what is the case, in a line or two.
        problems: what is wrong, each in a sentence that says what to do.
        facts: the same as plain data.
    """

    topic: str
    text: str = ""
    problems: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def reason(error: Exception) -> str:
    """Return why something failed, without the path.

    Args:
        error: what was raised.
    """
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def unseen(topic: str, error: Exception) -> Finding:
    """Return the finding that something could not be looked at.

    Args:
        topic: what.
        error: what was raised.
    """
    place = getattr(error, "filename", None) or topic
    problem = f"{place} cannot be looked at ({reason(error)}): change its permissions, or move it."
    return Finding(topic, "cannot be looked at", [problem], {})
