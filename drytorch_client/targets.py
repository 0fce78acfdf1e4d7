"""From `module:Class` or `file.py:Class` to what it names."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import operator
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from drytorch_client.errors import NotImportableError, UnknownTrackerError


def load(target: str) -> Any:
    """Return what a target names.

    Args:
        target: `module:name` or `file.py:name`; the name may have dots.

    Raises:
        FileNotFoundError: the file is not there.
        AttributeError: the module has no such name.
        Exception: whatever the module raises when it is loaded.
    """
    module, _, name = target.rpartition(":")
    return operator.attrgetter(name)(module_of(module))


def load_to_look(target: str, text: str) -> Any:
    """Return what a target names, found where a worker would find it.

    Args:
        target: `module:name` or `file.py:name`.
        text: what the user wrote, for errors.

    Raises:
        UnknownTrackerError: there is no such module, or no such name in it.
        NotImportableError: the module raises when it is loaded.
    """
    module, _, name = target.rpartition(":")
    try:
        with _current_folder():
            found = module_of(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise UnknownTrackerError(
                f"Tracker {text} cannot be found: there is no module {error.name}.", text
            ) from error
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise NotImportableError(f"Tracker {text} cannot be loaded: {what}.") from error
    try:
        return operator.attrgetter(name)(found)
    except AttributeError as error:
        names = [each for each, value in vars(found).items() if isinstance(value, type)]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f", did you mean {near[0]}?" if near else "."
        raise UnknownTrackerError(
            f"Tracker {text} cannot be found: there is no {name} in {module}{hint}", text
        ) from error


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    """Have modules of the current folder found, for a while: workers look there too."""
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        yield
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)


def is_file(module: str) -> bool:
    """Tell whether a target's module is named by its file.

    Args:
        module: what stands before the colon.
    """
    return module.endswith(".py") or os.sep in module


def module_of(name: str) -> ModuleType:
    """Return a module, loaded where it is not yet.

    Args:
        name: its full name, or the path of its file.

    Raises:
        FileNotFoundError: the file is not there.
        ImportError: the module is not there, or the file is no Python file.
        Exception: whatever the module raises when it is loaded.
    """
    if not is_file(name):
        return importlib.import_module(name)
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(path)
    # two files of one name are two modules
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    return sys.modules[name] if name in sys.modules else _load(name, path)


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file", path=str(path))
    if str(path.parent) not in sys.path:
        # last, so that a user's file never hides a library
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
