"""From a name to a tracker class: short names, `module:Class` and `file.py:Class`."""

from __future__ import annotations

import difflib
import operator
import re
import sys
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from importlib.metadata import entry_points as all_entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from drytorch_client import targets
from drytorch_trackers.base import Tracker
from drytorch_trackers.errors import (
    BrokenTrackerError,
    MissingExtraError,
    NotATrackerError,
    TrackerFileError,
    UnknownTrackerError,
)

GROUP: Final = "drytorch_trackers"
_OWN_DISTRIBUTION: Final = "drytorch-bus"
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def entry_points() -> dict[str, EntryPoint]:
    """Return the installed trackers by short name."""
    return {point.name: point for point in all_entry_points(group=GROUP)}


def load(target: str) -> type[Tracker]:
    """Return the tracker class that a name leads to.

    Args:
        target: a short name, `module:Class` or `file.py:Class`.

    Raises:
        UnknownTrackerError: it leads nowhere (a `TrackerFileError` where a file is not there).
        MissingExtraError: a library that it needs is not installed.
        BrokenTrackerError: its module cannot be loaded.
        NotATrackerError: it is no tracker, or one that cannot work.
    """
    module_name, colon, class_name = target.rpartition(":")
    if colon:
        return _checked(_attribute(_module(module_name, target), class_name, target), target)
    points = entry_points()
    if target not in points:
        raise UnknownTrackerError(_unknown_name(target, points))
    point = points[target]
    try:
        return _checked(point.load(), target)
    except ImportError as error:
        if _is_of_module(point.module, error):
            raise UnknownTrackerError(_not_there(target, point)) from error
        raise MissingExtraError(_install_hint(target, error, point.dist)) from error
    except AttributeError as error:
        raise UnknownTrackerError(_not_there(target, point)) from error


def _not_there(target: str, point: EntryPoint) -> str:
    return f"Tracker {target!r} leads to {point.value}, which is not there: install it again."


def short_name(tracker: type[Tracker]) -> str | None:
    """Return the short name of a tracker class, where it has one.

    Args:
        tracker: the class.
    """
    value = f"{tracker.__module__}:{tracker.__qualname__}"
    return next((name for name, point in entry_points().items() if point.value == value), None)


def _unknown_name(target: str, points: dict[str, EntryPoint]) -> str:
    nearest = difflib.get_close_matches(target, points, 1, 0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(sorted(points))}."
    return f"Tracker {target!r} is unknown: {hint}"


def _module(name: str, target: str) -> ModuleType:
    if not targets.is_file(name) and str(Path.cwd()) not in sys.path:
        # last, so that a user's file never hides a library
        sys.path.append(str(Path.cwd()))
    try:
        return targets.module_of(name)
    except FileNotFoundError as error:
        if targets.is_file(name) and not Path(name).expanduser().is_file():
            raise TrackerFileError(
                f"File {Path(name).absolute()} of a tracker is not there: check the path."
            ) from error
        raise BrokenTrackerError(_broken(target, error)) from error
    except ImportError as error:
        if error.path and error.name is None:
            raise UnknownTrackerError(
                f"File {error.path} is no Python file: name one that ends with .py."
            ) from error
        if _is_of_module(name, error):
            raise UnknownTrackerError(
                f"Tracker {target!r} is unknown: there is no module {error.name}."
            ) from error
        raise MissingExtraError(_install_hint(target, error, _own_distribution())) from error
    except Exception as error:
        raise BrokenTrackerError(_broken(target, error)) from error


def _broken(target: str, error: Exception) -> str:
    return f"Tracker {target!r} cannot be loaded: {type(error).__name__}: {error}."


def _is_of_module(name: str, error: ImportError) -> bool:
    """Tell whether the module itself is missing, and not something that it imports."""
    return isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")


def _attribute(module: ModuleType, class_name: str, target: str) -> Any:
    try:
        return operator.attrgetter(class_name)(module)
    except AttributeError:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        nearest = difflib.get_close_matches(class_name, classes, 1)
        hint = f": did you mean {nearest[0]}?" if nearest else "."
        raise UnknownTrackerError(
            f"Tracker {target!r} is unknown: there is no {class_name!r} in it{hint}"
        ) from None
    except ImportError as error:
        raise MissingExtraError(_install_hint(target, error, _own_distribution())) from error


def _checked(found: Any, target: str) -> type[Tracker]:
    """Refuse what cannot work, before a run relies on it."""
    if not isinstance(found, type):
        raise NotATrackerError(f"{target!r} is no class but {type(found).__name__}: name a class.")
    if not issubclass(found, Tracker):
        raise NotATrackerError(
            f"{found.__name__} is no tracker: it lacks the base class drytorch_trackers.Tracker."
        )
    if problem := found.broken_rule():
        raise NotATrackerError(problem)
    return found


# ---- what to install


def _own_distribution() -> Distribution | None:
    try:
        return distribution(_OWN_DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _install_hint(target: str, error: ImportError, owner: Distribution | None) -> str:
    library = (error.name or "").partition(".")[0]
    if not library:
        return f"Tracker {target!r} cannot be loaded: {error}."
    package = library if owner is None else _package_for(owner, target, library)
    return (
        f"Tracker {target!r} needs {library}, which is not installed: run pip install '{package}'."
    )


def _package_for(owner: Distribution, target: str, library: str) -> str:
    """Return what brings a library: an extra named like the tracker, else what is required."""
    if target in (owner.metadata.get_all("Provides-Extra") or ()):
        return f"{owner.name}[{target}]"
    for requirement in owner.requires or ():
        name = _REQUIREMENT.match(requirement)
        extra = _EXTRA.search(requirement)
        if name and extra and name[0].lower().replace("-", "_") == library.lower():
            return f"{owner.name}[{extra[1]}]"
        if name and not extra and name[0].lower() == f"py{library}".lower():
            return name[0]  # as PyYAML brings yaml
    return library
