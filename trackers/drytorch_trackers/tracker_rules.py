"""What a class must keep to in order to work as a tracker: checked when it is subscribed or named.

A mistake that these rules find would otherwise show as events that are never handled, far from the
line that is wrong.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from drytorch_schemas import events
from drytorch_trackers.methods import METHODS

_SIMILAR: Final = 0.75
#: What each method is called with.
_CALLED_WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "setup": ("context",),
    "handle": ("delivery",),
    "notify": ("event",),
    "find_missing": ("deliveries",),
    "flush": (),
    "clean_up": (),
    **dict.fromkeys(METHODS.values(), ("event",)),
}


def broken_rule(cls: type) -> str:
    """Return why a class cannot work as a tracker, in a sentence; empty where it can.

    Args:
        cls: a class that is derived from `Tracker`.
    """
    rules: tuple[Callable[[type], Iterable[str]], ...] = (
        _missing_methods,
        _misspelt_methods,
        _wrong_methods,
        _foreign_events,
        _wrong_kinds,
    )
    return next((problem for rule in rules for problem in rule(cls)), "")


def _missing_methods(cls: type) -> Iterator[str]:
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        yield f"{cls.__name__} cannot work as a tracker: it lacks {missing}."


def _misspelt_methods(cls: type) -> Iterator[str]:
    for name in dir(cls):
        if name.startswith("on_") and name not in METHODS.values():
            nearest = difflib.get_close_matches(name, METHODS.values(), 1, _SIMILAR)
            if nearest:
                yield f"{cls.__name__}.{name} would never be called: did you mean {nearest[0]}?"


def _wrong_methods(cls: type) -> Iterator[str]:
    for name, arguments in _CALLED_WITH.items():
        for attribute in _parts(inspect.getattr_static(cls, name, None)):
            problem = _problem(attribute, arguments)
            if problem:
                form = ", ".join(("self", *arguments))
                yield f"{cls.__name__}.{name} {problem}: write `def {name}({form})`."


def _parts(attribute: Any) -> Iterator[Any]:
    """Yield a method, or all the methods that are registered in it."""
    if isinstance(attribute, functools.singledispatchmethod):
        yield from attribute.dispatcher.registry.values()
    elif attribute is not None:
        yield attribute


def _problem(attribute: Any, arguments: tuple[str, ...]) -> str:
    function = getattr(attribute, "__func__", attribute)
    if not callable(function) and not hasattr(attribute, "__get__"):
        return f"is {type(attribute).__name__} and no method"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is asynchronous, which nobody would wait for"
    if inspect.isgeneratorfunction(function):
        return "is a generator, which would never run"
    if not _takes(attribute, function, len(arguments)):
        return f"cannot be called with {' and '.join(arguments) or 'nothing'}"
    return ""


def _takes(attribute: Any, function: Any, count: int) -> bool:
    if not isinstance(function, types.FunctionType):
        return True  # a callable of the user's own making
    owner = 0 if isinstance(attribute, staticmethod) else 1
    try:
        inspect.signature(function).bind(*[None] * (count + owner))
    except TypeError:
        return False
    return True


def _foreign_events(cls: type) -> Iterator[str]:
    notify = inspect.getattr_static(cls, "notify", None)
    if not isinstance(notify, functools.singledispatchmethod):
        return
    for kind in notify.dispatcher.registry:
        if not issubclass(kind, events.Event) and not issubclass(events.Event, kind):
            name = f"{kind.__module__}.{kind.__qualname__}"
            yield (
                f"{cls.__name__}.notify is registered for {name}, which no event is: "
                f"take the event's class from drytorch_schemas.events."
            )


def _wrong_kinds(cls: type) -> Iterator[str]:
    kinds = getattr(cls, "kinds", None)
    if kinds is None:
        return
    if not isinstance(kinds, (frozenset, set)) or not all(isinstance(each, str) for each in kinds):
        yield f'{cls.__name__}.kinds is no set of names: write `kinds = frozenset({{"Metric"}})`.'
        return
    for kind in sorted(kinds - METHODS.keys()):
        # another name may be that of a newer version's event
        nearest = difflib.get_close_matches(kind, METHODS, 1, _SIMILAR)
        if nearest:
            yield f"{cls.__name__}.kinds has {kind}, which no event is: did you mean {nearest[0]}?"
