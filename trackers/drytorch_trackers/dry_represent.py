"""From DRYTorch's representation of configurations and metadata to ours: converted, not made anew.

Representing twice would count what the first time left out. What changes is what the bus needs:
marks are plain data (`drytorch_client.markers`), there are bounds, and secrets are hidden.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from drytorch_client.markers import literal, omitted, safe_key
from drytorch_client.redaction import HIDDEN, hide_in_repr, hide_url_password, is_secret

_MAX_LEVELS: Final = 24  # of nested containers: an envelope carries 32
_MAX_SIZE: Final = 1 << 18  # characters in all, so that any config fits into an event
_NODE_SIZE: Final = 8  # what a value costs at least
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1
#: The repr of an object that has one of its own, such as `Database(user='me')`.
_CALL: Final = re.compile(r"[A-Za-z_][\w.]*\(.*\)", re.DOTALL)


class DryRepresentation:
    """Converts one representation: what `recursive_repr` of DRYTorch returned."""

    def __init__(self, omitted_class: type, literal_class: type) -> None:
        """Initialize.

        Args:
            omitted_class: DRYTorch's class for elements that were left out.
            literal_class: its class for text over several lines.
        """
        self._omitted = omitted_class
        self._literal = literal_class
        self._room = _MAX_SIZE

    def plain(self, value: Any, level: int = 0) -> Any:
        """Return the plain form of a represented value.

        Args:
            value: the value, or a part of it.
            level: how many containers hold it.
        """
        self._room -= _NODE_SIZE
        if self._room < 0:
            return omitted()
        if isinstance(value, self._omitted):
            return _omitted_mark(value)
        if isinstance(value, self._literal):
            return literal(self._text(str(value)))
        if isinstance(value, (dict, list, tuple, set)):
            return self._container(value, level)
        return self._scalar(value)

    def mapping(self, value: Any) -> dict[str, Any]:
        """Return the plain form of a value as a mapping, whatever it is.

        Args:
            value: the value; what is no mapping becomes `{"value": ...}`.
        """
        found = self.plain(value)
        if isinstance(value, Mapping) and isinstance(found, dict):
            return found
        return {"value": found}

    def _container(self, value: Any, level: int) -> Any:
        if level >= _MAX_LEVELS:
            return omitted(len(value))
        if isinstance(value, dict):
            return self._mapping(value.items(), level)
        return [self.plain(item, level + 1) for item in value]

    def _mapping(self, items: Iterable[tuple[Any, Any]], level: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            name = self._text(str(key))
            hidden = is_secret(name, value)
            found[safe_key(name)] = HIDDEN if hidden else self.plain(value, level + 1)
        return found

    def _scalar(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if _MIN_INT <= value <= _MAX_INT else self._text(str(value))
        if isinstance(value, float):
            return float(value)
        return self._text(str(value))

    def _text(self, text: str) -> str:
        """Return a text that msgpack can carry, cut where the room ends."""
        clean = hide_url_password(text.encode("utf-8", "backslashreplace").decode())
        if _CALL.fullmatch(clean):
            clean = hide_in_repr(clean)
        if len(clean) > max(self._room, 0):
            clean = clean[: max(self._room, 0)] + "..."
        self._room -= len(clean)
        return clean


def _omitted_mark(value: Any) -> dict[str, int | None]:
    count = value.count
    return omitted(None if math.isnan(count) else int(count))
