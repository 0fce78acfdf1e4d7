"""The trackers that every experiment starts with, and the modes that choose them.

| mode | trackers | console |
|---|---|---|
| `standard` | console, progress, yaml | epochs and above, on stderr |
| `hydra` | console, progress (bars vanish), yaml | metrics and above, on stdout and root logger |
| `minimal` | console, progress (with a bar for the training) | trainings and above, on stderr |
| `none` | none | |

The variable DRYTORCH_INIT_MODE names the mode; it is read at first use, not at import.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from drytorch_client import notebook
from drytorch_client.declarations import Declaration
from drytorch_client.errors import FailedOptionalImportWarning, InvalidModeError
from drytorch_client.subscriptions import Subscription

Mode = Literal["standard", "hydra", "minimal", "none"]

VARIABLE: Final = "DRYTORCH_INIT_MODE"
CONSOLE: Final = "BuiltinLogger"
PROGRESS: Final = "TqdmLogger"
METADATA: Final = "YamlDumper"
_SWITCHES: Final = "drytorch_trackers.console_switches"
# DRYTorch's levels of the console's lines
_METRICS, _EPOCH, _TRAINING = 21, 23, 28
#: The modes whose runs are described in YAML files.
_DESCRIBED: Final = ("standard", "hydra")
#: Names of packages that differ from their module's.
_PACKAGES: Final = {"yaml": "PyYAML"}
_Options = dict[str, Any]


class _Defaults:
    """The default trackers by name; None as long as no mode was chosen."""

    trackers: dict[str, Subscription] | None = None


def init_trackers(mode: Mode = "standard") -> None:
    """Choose the default trackers; what was chosen, added or switched before is undone.

    Args:
        mode: `standard`, `hydra`, `minimal` or `none`.

    Raises:
        InvalidModeError: there is no such mode.
    """
    chosen = _of_mode(mode, "")
    switches = sys.modules.get(_SWITCHES)
    if switches is not None:
        switches.forget()
    _Defaults.trackers = {each.name: Subscription(each) for each in chosen}


def extend_default_trackers(tracker_list: Iterable[Any]) -> None:
    """Add trackers to the default ones; one of the same name is replaced.

    Args:
        tracker_list: objects, or names of trackers.

    Raises:
        InvalidModeError: DRYTORCH_INIT_MODE names no mode.
        ClientError: one of them cannot be declared, see `Subscriptions.subscribe`.
    """
    added = [Subscription.of(tracker) for tracker in tracker_list]
    _chosen().update({each.declaration.name: each for each in added})


def remove_all_default_trackers() -> None:
    """Let experiments start without trackers."""
    _Defaults.trackers = {}


def default_trackers() -> Mapping[str, Subscription]:
    """Return the default trackers by name.

    Raises:
        InvalidModeError: DRYTORCH_INIT_MODE names no mode.
    """
    return dict(_chosen())


def forget_mode() -> None:
    """Let the next use read DRYTORCH_INIT_MODE again."""
    _Defaults.trackers = None


def switched(declaration: Declaration) -> Declaration:
    """Return a default tracker's declaration with what is known of this process by now.

    Args:
        declaration: of any tracker; only console and progress named by text change.
    """
    now: _Options = {}
    switches = sys.modules.get(_SWITCHES)
    if declaration.target == "console" and switches is not None:
        now = switches.switched()
    elif declaration.target == "progress" and notebook.has_widgets():
        now = {"notebook": True}
    return declaration.model_copy(update={"kwargs": declaration.kwargs | now})


def _chosen() -> dict[str, Subscription]:
    if _Defaults.trackers is None:
        mode = os.environ.get(VARIABLE) or "standard"
        chosen = _of_mode(mode, f" in {VARIABLE}")
        _Defaults.trackers = {each.name: Subscription(each) for each in chosen}
    return _Defaults.trackers


def _of_mode(mode: str, where: str) -> list[Declaration]:
    bars = mode == "none" or _installed("tqdm", "No progress bars are drawn")
    modes: dict[str, tuple[_Options, _Options] | None] = {
        "standard": ({"verbosity": _EPOCH if bars else _METRICS}, {}),
        "hydra": (
            {"verbosity": _METRICS, "stream": "stdout", "propagate": True},
            {"leave": False},
        ),
        "minimal": (
            {"verbosity": _TRAINING} if bars else {"verbosity": _EPOCH, "formatter": "progress"},
            {"enable_training_bar": True},
        ),
        "none": None,
    }
    if mode not in modes:
        near = difflib.get_close_matches(str(mode), modes, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(modes)}."
        raise InvalidModeError(f"There is no mode {mode!r} of default trackers{where}: {hint}")
    options = modes[mode]
    if options is None:
        return []
    console = Declaration(name=CONSOLE, target="console", kwargs=options[0])
    progress = Declaration(name=PROGRESS, target="progress", kwargs=options[1])
    return [console, *([progress] if bars else []), *(_metadata() if mode in _DESCRIBED else [])]


def _metadata() -> list[Declaration]:
    if not _installed("yaml", "Configuration and metadata are not written to YAML files"):
        return []
    return [Declaration(name=METADATA, target="yaml")]


def _installed(module: str, without: str) -> bool:
    """Tell whether a default tracker's library is there; warn where it is not."""
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # hidden on purpose, or half of it is left
        found = False
    if not found:
        package = _PACKAGES.get(module, module)
        message = f"{without}, because {module} cannot be imported: pip install {package}."
        warnings.warn(FailedOptionalImportWarning(message), stacklevel=4)
    return found
