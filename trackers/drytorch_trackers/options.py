"""Options of a tracker as text, `option=value`, made what its constructor takes."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from drytorch_client.declarations import missing_arguments
from drytorch_trackers.base import Tracker
from drytorch_trackers.errors import OptionError

_CONTAINERS: Final = ("[", "{", "null", "none")
_VARIABLE: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def split(text: str) -> tuple[str | None, str, str]:
    """Return tracker (None for all), option and value of `[tracker.]option=value`.

    Args:
        text: what a user wrote after `-o`.

    Raises:
        OptionError: it has no `=` or no option.
    """
    name, equals, value = text.partition("=")
    tracker, dot, option = name.rpartition(".")
    if not equals or not option or (dot and not tracker):
        raise OptionError(f"Option {text!r} cannot be read: write option=value.")
    return tracker or None, option, value


def parse(tracker: type[Tracker], options: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return keyword arguments for a tracker's constructor.

    Args:
        tracker: the class.
        options: pairs of option and value.

    Raises:
        OptionError: the tracker has no such option, the value is of another type, or an option
            that it needs is missing.
    """
    parameters = _parameters(tracker)
    hints = _hints(tracker)
    found = {
        name: _convert(tracker, parameters, hints, name, value)
        for name, value in dict(options).items()
    }
    missing = missing_arguments(tracker, found)
    if missing:
        raise OptionError(
            f"{tracker.__name__} needs {' and '.join(missing)}: add -o {missing[0]}=..."
        )
    return found


def _convert(
    tracker: type[Tracker],
    parameters: Mapping[str, inspect.Parameter],
    hints: Mapping[str, Any],
    name: str,
    value: str,
) -> Any:
    if name not in parameters:
        if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            return value
        raise OptionError(_unknown(tracker, parameters, name))
    expected = hints.get(name, _type_of_default(parameters[name]))
    if expected is Any:
        return value
    adapter = TypeAdapter(expected, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        if value.lower().startswith(_CONTAINERS):
            try:
                return adapter.validate_json("null" if value.lower() == "none" else value)
            except ValidationError:
                pass  # perhaps a text that only looks so
        return adapter.validate_strings(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise OptionError(
            f"Option {name} of {tracker.__name__} cannot be {value!r}: {first}."
        ) from None


def _parameters(tracker: type[Tracker]) -> Mapping[str, inspect.Parameter]:
    if tracker.__init__ is object.__init__:
        return {}
    parameters = inspect.signature(tracker.__init__).parameters
    return {name: each for name, each in parameters.items() if name != "self"}


def _hints(tracker: type[Tracker]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(tracker.__init__)
    except (NameError, TypeError, AttributeError):
        # annotations that only type checkers can read
        return {}


def _type_of_default(parameter: inspect.Parameter) -> Any:
    default = parameter.default
    if default is None or default is inspect.Parameter.empty:
        return Any
    return type(default)


def _unknown(tracker: type[Tracker], parameters: Mapping[str, inspect.Parameter], name: str) -> str:
    known = [each.name for each in parameters.values() if each.kind not in _VARIABLE]
    nearest = difflib.get_close_matches(name, known, 1)
    if nearest:
        hint = f"did you mean {nearest[0]}?"
    elif known:
        hint = f"it has {', '.join(known)}."
    else:
        hint = "it has none."
    return f"{tracker.__name__} has no option {name}: {hint}"
