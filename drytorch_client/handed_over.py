"""Trackers that `drytorch run -t TRACKER` hands to the training, by the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from drytorch_client import messages
from drytorch_client.declarations import Declaration, declare_named, full_target
from drytorch_client.defaults import switched
from drytorch_client.errors import HandoverVariableError

#: A JSON list of maps with `target` and, where there are any, `options`: keyword arguments.
VARIABLE: Final = "DRYTORCH_TRACKERS"


def with_handed_over(declarations: Sequence[Declaration]) -> list[Declaration]:
    """Return a run's trackers and those that were handed over, none of them twice.

    Args:
        declarations: what the script subscribed.

    Raises:
        HandoverVariableError: the variable is not what `drytorch run` writes.
        UnknownTrackerError: it names a tracker that is not there.
    """
    found = [switched(each) for each in declarations]
    for entry in _entries():
        declared = declare_named(str(entry["target"]))
        options = dict(entry.get("options") or {})
        by_target = {full_target(each.target): each for each in found}
        subscribed = by_target.get(full_target(declared.target))
        if subscribed is not None:
            _tell_unused(subscribed, options)
            continue
        name = _free_name(declared.name, {each.name for each in found})
        found.append(declared.model_copy(update={"name": name, "kwargs": options}))
    return found


def _tell_unused(subscribed: Declaration, options: Mapping[str, Any]) -> None:
    own = subscribed.kwargs
    unused = [name for name, value in options.items() if not _same(own.get(name), value)]
    if unused:
        messages.warn(
            f"the training has {subscribed.name} already, with options of its own: "
            f"{', '.join(unused)} given to `drytorch run` has no effect"
        )


def _same(own: Any, given: Any) -> bool:
    """Tell whether a declared argument, a path in its plain form too, is what the command gave."""
    if isinstance(own, Mapping) and len(own) == 1:
        (own,) = own.values()
    return str(own) == str(given)


def _entries() -> list[Mapping[str, Any]]:
    text = os.environ.get(VARIABLE)
    if not text:
        return []
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, list) or not all(
        isinstance(each, dict) and "target" in each for each in entries
    ):
        raise HandoverVariableError(
            f"The variable {VARIABLE} is not a JSON list of trackers: unset it, or name the "
            f"trackers with `drytorch run -t`."
        )
    return entries


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
