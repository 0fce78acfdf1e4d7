"""Addresses of envelopes: building, taking apart and matching topics.

A topic is `<experiment>/<run id>/<kind>/`, broadest level first. Every level ends with a slash,
since ZeroMQ matches subscriptions by prefix and `run1` must not match `run10`.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from drytorch_schemas.errors import TopicError

_LEVELS = 3
#: A level may hold anything but what separates levels, what escapes, and control characters.
_UNSAFE = re.compile(r"[%/\x00-\x1f\x7f]")


def escape(name: str) -> str:
    """Return a name as one level of a topic, its unsafe characters percent-encoded.

    Args:
        name: any name that UTF-8 can carry.

    Raises:
        TopicError: the name is empty or holds a lone surrogate.
    """
    if not name:
        raise TopicError(
            "An empty name cannot be a level of a topic: give it at least one character."
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise TopicError(
            f"The name {name!a} is not valid Unicode: remove the lone surrogate."
        ) from None
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)


def unescape(level: str) -> str:
    """Return the name that a level of a topic stands for.

    Args:
        level: one level as `escape` makes it.

    Raises:
        TopicError: `escape` would have written it in another way.
    """
    try:
        name = unquote(level, errors="strict")
        canonical = escape(name) == level
    except UnicodeDecodeError:
        canonical = False
    if not canonical:
        raise TopicError(f"{level!r} is no level of a topic: its escapes are wrong.")
    return name


@functools.lru_cache(maxsize=1024)
def build(experiment: str, run_id: str, kind: str) -> str:
    """Return the topic of a kind of event in a run.

    Args:
        experiment: name of the experiment.
        run_id: identifier of the run.
        kind: kind of the event.

    Raises:
        TopicError: a name cannot be a level.
    """
    return f"{escape(experiment)}/{escape(run_id)}/{escape(kind)}/"


def split(topic: str) -> tuple[str, str, str]:
    """Return experiment, run id and kind of a topic.

    Args:
        topic: a topic as `build` makes it.

    Raises:
        TopicError: the text is not a topic.
    """
    levels = topic.split("/")
    if len(levels) != _LEVELS + 1 or levels[-1] or not all(levels[:-1]):
        raise TopicError(f"{topic!r} is not a topic: expected <experiment>/<run id>/<kind>/.")
    experiment, run_id, kind = (unescape(level) for level in levels[:-1])
    return experiment, run_id, kind


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """Which envelopes somebody wants: those that all fields admit.

    Attributes:
        experiment: shell-style glob on the experiment's name, case-sensitive.
        run_id: shell-style glob on the run id, case-sensitive.
        run: exact UUID of one run, as 32 hexadecimal digits; None for any.
        kinds: the kinds wanted; empty for all.
    """

    experiment: str = "*"
    run_id: str = "*"
    run: str | None = None
    kinds: tuple[str, ...] = ()

    def matches_run(self, experiment: str, run_id: str, run: str) -> bool:
        """Tell whether a run's envelopes are wanted, whatever their kind."""
        if self.run is not None and self.run != run:
            return False
        return fnmatch.fnmatchcase(experiment, self.experiment) and fnmatch.fnmatchcase(
            run_id, self.run_id
        )

    def matches(self, experiment: str, run_id: str, run: str, kind: str) -> bool:
        """Tell whether an envelope is wanted."""
        if self.kinds and kind not in self.kinds:
            return False
        return self.matches_run(experiment, run_id, run)

    def prefix(self) -> str:
        """Return the topic prefix, of whole levels, that every matching topic starts with.

        Raises:
            TopicError: a pattern without wild cards cannot be a name, so that nothing matches it.
        """
        prefix = ""
        for pattern in (self.experiment, self.run_id):
            if any(wild in pattern for wild in "*?["):
                break
            prefix += escape(pattern) + "/"
        return prefix


def matches_any(
    filters: Sequence[TopicFilter], experiment: str, run_id: str, run: str, kind: str
) -> bool:
    """Tell whether any of the filters wants an envelope (overlapping ones give it once)."""
    return any(each.matches(experiment, run_id, run, kind) for each in filters)
