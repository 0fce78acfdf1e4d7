"""Plain data of events as YAML in DRYTorch's style, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from drytorch_client.markers import LITERAL, OMITTED, is_mark, user_key
from drytorch_trackers.errors import TrackerError

#: Sequences of more elements are written in block style, as DRYTorch does.
_MOST_IN_FLOW: Final = 30
#: Likewise sequences with a longer text.
_LONGEST_IN_FLOW: Final = 10
_TAG: Final = "!Omitted"
_FIELD: Final = "omitted_elements"


@dataclass(frozen=True, slots=True)
class Omitted:
    """Elements that a representation left out; in a file `!Omitted {omitted_elements: 10}`.

    Attributes:
        count: how many; None where unknown.
    """

    count: float | None = None


class Literal(str):  # noqa: SLOT000  # a text like any other, but for its style
    """Text that is written line by line."""

    def __repr__(self) -> str:
        return str.__repr__(self)


def shown(value: Any) -> Any:
    """Return an event's plain data with its marks as objects, and its keys as the user's.

    Args:
        value: plain data as events carry it, see `drytorch_client.markers`.
    """
    if isinstance(value, dict):
        return _mark(value) if is_mark(value) else _mapping(value)
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


def to_yaml(value: Any) -> bytes:
    """Return the bytes of a YAML file, ASCII only.

    Args:
        value: what `shown` returned.
    """
    text: str = yaml.dump(value, Dumper=_Dumper)
    return text.encode()


def read_yaml(path: str | Path) -> Any:
    """Return what a file that `YamlDumper` or DRYTorch wrote holds.

    Nothing but plain data comes out, with `Omitted` where elements were left out.

    Args:
        path: the file.

    Raises:
        TrackerError: it is no YAML, or holds a tag other than `!Omitted`.
        OSError: it cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        return yaml.load(data, _Loader)  # noqa: S506  # a SafeLoader with one more tag
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise TrackerError(f"{path} cannot be read as YAML: {line}; write it again.") from error


def holds(path: Path, value: Any) -> bool:
    """Tell whether a file holds a value, in whichever style.

    Args:
        path: the file.
        value: what `shown` returned.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        if path.read_bytes() == to_yaml(value):
            return True
        return bool(_comparable(read_yaml(path)) == _comparable(value))
    except (FileNotFoundError, NotADirectoryError, TrackerError):
        return False


def _comparable(value: Any) -> Any:
    """Return what equals that of another value where both say the same, NaN included."""
    if isinstance(value, dict):
        return sorted((repr(key), _comparable(item)) for key, item in value.items())
    return [_comparable(item) for item in value] if isinstance(value, list) else repr(value)


def _mapping(value: dict[Any, Any]) -> dict[Any, Any]:
    found = {}
    for key, item in value.items():
        name = user_key(key) if isinstance(key, str) else key
        # what was emitted without `safe_key` may hold both forms: none is lost
        found[key if name in value else name] = shown(item)
    return found


def _mark(value: dict[str, Any]) -> Any:
    (key, content), *_ = value.items()
    if key == OMITTED and (content is None or isinstance(content, (int, float))):
        return _omitted(content)
    if key == LITERAL and isinstance(content, str):
        return Literal(content)
    return _mapping(value)  # only looks like a mark


class _Dumper(yaml.SafeDumper):
    """Writes what `shown` returns; never an anchor, as no object is there twice."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


class _Loader(yaml.SafeLoader):
    """Reads plain data and `!Omitted`."""


def _is_short(item: Any) -> bool:
    """Tell whether an element may stand in a sequence in flow style."""
    if isinstance(item, str):
        return not isinstance(item, Literal) and len(item) <= _LONGEST_IN_FLOW
    return not hasattr(item, "__len__")


def _write_sequence(dumper: yaml.SafeDumper, items: Sequence[Any]) -> yaml.Node:
    flow = len(items) <= _MOST_IN_FLOW and all(map(_is_short, items))
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


def _write_literal(dumper: yaml.SafeDumper, text: Literal) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")


def _write_omitted(dumper: yaml.SafeDumper, omitted: Omitted) -> yaml.Node:
    count = math.nan if omitted.count is None else omitted.count
    return dumper.represent_mapping(_TAG, {_FIELD: count})


def _read_omitted(loader: yaml.SafeLoader, node: yaml.Node) -> Omitted:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, f"{_TAG} is no map", node.start_mark)
    return _omitted(loader.construct_mapping(node).get(_FIELD))


def _omitted(count: float | None) -> Omitted:
    return Omitted(None if isinstance(count, float) and math.isnan(count) else count)


_Dumper.add_representer(list, _write_sequence)
_Dumper.add_representer(Literal, _write_literal)
_Dumper.add_representer(Omitted, _write_omitted)
_Loader.add_constructor(_TAG, _read_omitted)
