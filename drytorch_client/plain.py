"""Constructor arguments as plain data, and back.

What msgpack cannot carry becomes a map with one key that starts with `!`; a worker turns it back
with `restore`. The forms travel from a training process to its own workers only, over a private
pipe or a file that only the user can read, never over a socket: `restore` imports what they name.

| form | stands for |
|---|---|
| `{"!path": text}` | a `pathlib.Path`, absolute |
| `{"!tuple": list}`, `{"!set": list}` | a tuple, a set |
| `{"!map": [[key, value], ...]}` | a mapping whose keys are not all plain text |
| `{"!import": "module:name"}` | a class or function that can be imported |
| `{"!stream": "stdout" or "stderr"}` | this process's stream |
| `{"!object": {"type": "module:name", "kwargs": map}}` | a dataclass, pydantic model, enum member |
| `{"!tracker": {"target": text, "args": list, "kwargs": map}}` | another tracker |
| `{"!handed": number}` | one of the objects that were handed over, see `drytorch_client.handover` |
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from drytorch_client.errors import TrackerArgumentError

_MAX_DEPTH: Final = 16  # deeper arguments hold a cycle
#: Takes where a value belongs and the value, returns the form that stands for it.
Hand = Callable[[str, Any], Any]
#: Returns the tracker class of a target.
Load = Callable[[str], type]
_STREAMS: Final = {"stdout": ("stdout", "__stdout__"), "stderr": ("stderr", "__stderr__")}


def import_name(value: Any) -> str | None:
    """Return the `module:qualified name` under which a class or function can be imported.

    Args:
        value: a class or a function.

    Returns:
        The name; None where another process could not import it.
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not module or not name or "<" in name or not can_be_found(module):
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is value else None


def can_be_found(module: str) -> bool:
    """Tell whether another process could import a module.

    That this process has it says little: it may be the script itself, a notebook, or have been
    loaded from a file under a name of its own.

    Args:
        module: its full name.
    """
    if module in {"__main__", "__mp_main__"}:
        return False
    parent = module.rpartition(".")[0]
    path = getattr(sys.modules.get(parent), "__path__", None)
    if parent and (path is None or not can_be_found(parent)):
        # a module within a module, such as `os.path`, comes with it
        return path is None and module in sys.modules and can_be_found(parent)
    return any(
        finder.find_spec(module, path) is not None
        for finder in sys.meta_path
        if hasattr(finder, "find_spec")
    )


def import_object(name: str) -> Any:
    """Import what `import_name` named.

    Args:
        name: `module:qualified name`.

    Raises:
        ImportError: the module cannot be imported.
        AttributeError: the module has no such object.
    """
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def to_plain(value: Any, where: str, hand: Hand | None = None, _depth: int = 0) -> Any:
    """Return the plain form of a constructor's argument.

    Args:
        value: the argument.
        where: tracker and argument, for the error.
        hand: takes what has no plain form, and returns the form that stands for it; by default
            such a value is refused.

    Raises:
        TrackerArgumentError: another process could not be given this value.
    """
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if _depth > _MAX_DEPTH:
        raise TrackerArgumentError(f"{where} is nested too deep to be handed to a worker.")
    for convert in (_container, _stream, _described, _database_url, _number):
        found = convert(value, lambda item: to_plain(item, where, hand, _depth + 1))
        if found is not None:
            return found[0]
    if hand is not None:
        return hand(where, value)
    raise TrackerArgumentError(
        f"{where} is a {type(value).__name__}, which cannot be handed to a worker: "
        f"pass a path, a number, text, or what can be imported from a module."
    )


_Convert = Callable[[Any], Any]


def _container(value: Any, convert: _Convert) -> tuple[Any] | None:  # noqa: PLR0911 - one per container
    """Convert paths and containers."""
    if isinstance(value, os.PathLike):
        return ({"!path": str(pathlib.Path(value).absolute())},)
    if isinstance(value, list):
        return ([convert(item) for item in value],)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return ({"!tuple": [convert(item) for item in value]},)
    if isinstance(value, (set, frozenset)):
        return ({"!set": [convert(item) for item in value]},)
    if isinstance(value, Mapping):
        pairs = [(convert(key), convert(item)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("!") for key, _ in pairs):
            return (dict(pairs),)
        return ({"!map": [list(pair) for pair in pairs]},)
    return None


def _stream(value: Any, _convert: _Convert) -> tuple[Any] | None:
    for name, attributes in _STREAMS.items():
        if any(value is getattr(sys, attribute, None) for attribute in attributes):
            return ({"!stream": name},)
    return None


def _database_url(value: Any, _convert: _Convert) -> tuple[Any] | None:
    """Convert SQLAlchemy's engines and URLs, without importing SQLAlchemy."""
    url = getattr(value, "url", value)
    render = getattr(url, "render_as_string", None)
    return None if render is None else (render(hide_password=False),)


def _described(value: Any, convert: _Convert) -> tuple[Any] | None:
    """Convert what a class and keyword arguments describe, classes and functions, and trackers."""
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        name = import_name(value)
        return None if name is None else ({"!import": name},)
    target = import_name(type(value))
    if callable(declared := getattr(value, "declared", None)):
        target = target or convert(type(value))
        args, kwargs = list(declared()[0]), dict(declared()[1])
        return ({"!tracker": {"target": target, "args": convert(args), "kwargs": convert(kwargs)}},)
    fields = None if target is None else _fields(value)
    return None if fields is None else ({"!object": {"type": target, "kwargs": convert(fields)}},)


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the keyword arguments that make an equal object."""
    if isinstance(value, enum.Enum):
        return {"value": value.value}
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in value.model_fields_set}
    return None


def _number(value: Any, _convert: _Convert) -> tuple[Any] | None:
    """Convert numpy's scalars and subclasses of Python's own types."""
    if isinstance(value, enum.Enum):
        return None  # more than the text or number that it is as well
    kinds: tuple[type, ...] = (str, bytes, int, float)
    for kind in kinds:
        if isinstance(value, kind):
            return (kind(value),)
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", 0) != 0:
        return None
    plain = item()
    return (plain,) if type(plain) in (bool, int, float, str, bytes) else None


def restore(value: Any, load: Load, handed: Sequence[Any] = ()) -> Any:
    """Return the argument that a plain form stands for.

    Args:
        value: the plain form, from this user's own training process.
        load: returns the tracker class of a target.
        handed: the objects that were handed over.

    Raises:
        TrackerArgumentError: the form is not known here.
        ImportError: it names something that cannot be imported.
        AttributeError: it names something that its module has not.
    """
    if isinstance(value, list):
        return [restore(item, load, handed) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (key := next(iter(value))).startswith("!"):
        return _restore_form(key, value[key], load, handed)
    return {key: restore(item, load, handed) for key, item in value.items()}


def _restore_form(key: str, content: Any, load: Load, handed: Sequence[Any]) -> Any:
    def back(value: Any) -> Any:
        return restore(value, load, handed)

    def tracker() -> Any:
        target = content["target"]
        cls = load(target) if isinstance(target, str) else back(target)
        return cls(*back(content["args"]), **back(content["kwargs"]))

    forms: dict[str, Callable[[], Any]] = {
        "!path": lambda: pathlib.Path(content),
        "!import": lambda: import_object(content),
        "!stream": lambda: getattr(sys, content),
        "!handed": lambda: handed[content],
        "!tuple": lambda: tuple(back(content)),
        "!set": lambda: set(back(content)),
        "!map": lambda: {back(k): back(item) for k, item in content},
        "!object": lambda: import_object(content["type"])(**back(content["kwargs"])),
        "!tracker": tracker,
    }
    if key not in forms:
        raise TrackerArgumentError(f"The argument form {key} is unknown here: update drytorch-bus.")
    return forms[key]()
