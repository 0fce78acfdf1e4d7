"""From `module:Class` or `file.py:Class` to what it names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import operator
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


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
