"""Trackers that `drytorch run -t TRACKER` hands to the training, by the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

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
        if full_target(declared.target) in {full_target(each.target) for each in found}:
            continue
        name = _free_name(declared.name, {each.name for each in found})
        options = dict(entry.get("options") or {})
        found.append(declared.model_copy(update={"name": name, "kwargs": options}))
    return found


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
