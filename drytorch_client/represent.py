"""Configurations and metadata as plain data, by DRYTorch's rules, in the training process.

Lists and tuples of more than ten elements keep five at each end, sets and mappings the first ten;
what is left out is marked (`drytorch_client.markers`). An object becomes a mapping with its class
and its public attributes, sorted, without None and empty containers. An object that was met before
becomes `{"duplicated": ...}`. Beyond DRYTorch: nothing raises, whatever the object does; the result
has bounds; secrets are hidden (`drytorch_client.redaction`).
"""

from __future__ import annotations

import itertools
import numbers
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from drytorch_client import arrays
from drytorch_client.markers import omitted, safe_key
from drytorch_client.redaction import HIDDEN, hide_in_repr, hide_url_password, is_secret
from drytorch_schemas.events import plain_number

CONFIG_DEPTH: Final = 1000  # DRYTorch's depth for objects in a config
METADATA_DEPTH: Final = 10  # and in an actor's metadata
_KEEP: Final = 10
_MAX_LEVELS: Final = 24  # of nested containers: an envelope carries 32
_MAX_SIZE: Final = 1 << 18  # bytes in all, so that any config fits into an event
_NODE_SIZE: Final = 8  # what a value costs at least
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1
_CONTAINERS: Final = (dict, list, tuple, set)
_EXEMPT: Final = (str, numbers.Number, type, types.FunctionType)


def represent(obj: Any, depth: int = METADATA_DEPTH) -> Any:
    """Return a readable representation of any object as plain data for msgpack.

    Args:
        obj: the object.
        depth: how deep objects within objects are looked into.
    """
    return _Representer().visit(obj, depth, set(), 0)


def represent_mapping(obj: Any, depth: int = METADATA_DEPTH) -> dict[str, Any]:
    """Return a representation that is a mapping whatever the object is.

    Args:
        obj: the object; None gives an empty mapping, what has no fields becomes `{"value": ...}`.
        depth: how deep objects within objects are looked into.
    """
    if obj is None:
        return {}
    found = represent(obj, depth)
    return found if isinstance(found, dict) else {"value": found}


def represent_summary(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a run's summary as plain data: every key is kept, and one-element tensors are numbers.

    Args:
        values: what the user wrote to `run.summary`.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = represent(str(key))
        try:
            plain = value if isinstance(value, bool) else plain_number(value)
        except Exception:  # noqa: BLE001 - no number; users' objects may raise anything
            plain = value
        found[safe_key(name)] = HIDDEN if is_secret(name, plain) else represent(plain)
    return found


class _Representer:
    """One representation: how much room is left, and what is being repeated at the moment."""

    def __init__(self) -> None:
        self._room = _MAX_SIZE
        self._repeating: set[int] = set()

    def visit(self, obj: Any, depth: int, visited: set[int], level: int) -> Any:
        """Represent an object, or say that it was met before."""
        self._room -= _NODE_SIZE
        if self._room < 0:
            return omitted()
        if not _is_exempt(obj):
            if id(obj) in visited:
                return {"duplicated": self._repeat(obj, level + 1)}
            visited.add(id(obj))
        return self._dispatch(obj, depth, visited, level)

    def _repeat(self, obj: Any, level: int) -> Any:
        """Represent an object again, one level deep; a cycle ends at the class's name."""
        if id(obj) in self._repeating or level > _MAX_LEVELS:
            return type(obj).__name__
        self._repeating.add(id(obj))
        try:
            return self._dispatch(obj, 1, set(), level)
        finally:
            self._repeating.discard(id(obj))

    def _dispatch(self, obj: Any, depth: int, visited: set[int], level: int) -> Any:
        try:
            return self._by_type(obj, depth, visited, level)
        except Exception:  # noqa: BLE001 - users' objects may raise anything when they are looked at
            return _class_name(obj)

    def _by_type(self, obj: Any, depth: int, visited: set[int], level: int) -> Any:
        if obj is None:
            return None
        if isinstance(obj, _EXEMPT):
            return self._scalar(obj)
        described = arrays.describe(obj, _KEEP)
        if described is not None:
            return {mark: self._text(text) for mark, text in described.items()}
        if not isinstance(obj, _CONTAINERS):
            return self._object(obj, depth if level < _MAX_LEVELS else 0, visited, level)
        return self._container(obj, depth, visited, level)

    def _container(self, obj: Any, depth: int, visited: set[int], level: int) -> Any:
        if level >= _MAX_LEVELS:
            return omitted(len(obj))
        if isinstance(obj, dict):
            return self._mapping(obj, depth, visited, level)
        return [self._item(item, depth, visited, level) for item in _limited(obj)]

    def _scalar(self, obj: Any) -> Any:
        if isinstance(obj, str):
            return self._text(obj)
        return self._number(obj) if isinstance(obj, numbers.Number) else obj.__name__

    def _item(self, item: Any, depth: int, visited: set[int], level: int) -> Any:
        if isinstance(item, _Omitted):
            return omitted(item.count)
        return self.visit(item, depth - 1, visited, level + 1)

    def _mapping(self, obj: dict[Any, Any], depth: int, visited: set[int], level: int) -> Any:
        found: dict[str, Any] = {}
        for key, value in itertools.islice(list(obj.items()), _KEEP):
            name = self._text(str(key))
            found[safe_key(name)] = self._value(name, value, depth, visited, level)
        if len(obj) > _KEEP:
            found["..."] = omitted(len(obj) - _KEEP)
        return found

    def _object(self, obj: Any, depth: int, visited: set[int], level: int) -> Any:
        if depth > 0:
            found = {
                safe_key(self._text(key)): self._value(key, value, depth, visited, level)
                for key, value in _attributes(obj)
            }
            if found:
                return {"class": _class_name(obj), **dict(sorted(found.items()))}
        return self._text(_own_text(obj))

    def _value(self, key: str, value: Any, depth: int, visited: set[int], level: int) -> Any:
        if is_secret(key, value):
            return HIDDEN
        return self.visit(value, depth - 1, visited, level + 1)

    def _text(self, text: str) -> str:
        """Return a text that msgpack can carry, cut where the room ends."""
        clean = hide_url_password(text.encode("utf-8", "backslashreplace").decode()).encode()
        if len(clean) > max(self._room, 0):
            clean = clean[: max(self._room, 0)] + b"..."
        self._room -= len(clean)
        return clean.decode("utf-8", "ignore")

    def _number(self, number: Any) -> Any:
        """Return a number as Python's own, as text where msgpack has none for it."""
        item = getattr(number, "item", None)
        if item is not None:
            number = item()
        if isinstance(number, bool):
            return bool(number)
        if isinstance(number, int):
            return int(number) if _MIN_INT <= number <= _MAX_INT else self._text(str(number))
        return float(number) if isinstance(number, float) else self._text(str(number))


class _Omitted:
    """Stands for elements that are left out, until they become a mark."""

    def __init__(self, count: int) -> None:
        self.count = count


def _limited(items: list[Any] | tuple[Any, ...] | set[Any]) -> Iterable[Any]:
    """Yield the elements that are kept, and what stands for the others."""
    count = len(items)
    if count <= _KEEP:
        return list(items)
    rest = _Omitted(count - _KEEP)
    if isinstance(items, Sequence):
        half = _KEEP // 2
        return [*items[:half], rest, *items[-half:]]
    return [*itertools.islice(items, _KEEP), rest]


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the public attributes that hold something, from `__dict__` or else from `__slots__`."""
    found = dict(getattr(obj, "__dict__", {}))
    if not found:
        found = {name: getattr(obj, name, None) for name in getattr(obj, "__slots__", ())}
    for key, value in found.items():
        if isinstance(key, str) and not key.startswith("_") and not _is_nothing(value):
            yield key, value


def _is_exempt(obj: Any) -> bool:
    """Tell whether an object is never said to be a duplicate."""
    try:
        return isinstance(obj, _EXEMPT)
    except Exception:  # noqa: BLE001 - `__class__` may be a property of the user's
        return False


def _is_nothing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return len(value) == 0
    except Exception:  # noqa: BLE001 - no length, or one that raises
        return False


def _class_name(obj: Any) -> str:
    return type(obj).__name__


def _own_text(obj: Any) -> str:
    """Return an object's own repr; its class's name where it has none, or where it raises."""
    text = repr(obj)
    inherited = text.lower().endswith(f"{id(obj):x}>")
    return _class_name(obj) if inherited else hide_in_repr(text)
