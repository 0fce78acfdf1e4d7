"""Trackers as declarations: what a worker builds the real tracker from."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import inspect
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from drytorch_client import plain, targets
from drytorch_client.errors import (
    NotATrackerError,
    TrackerArgumentError,
    UnknownTrackerError,
)

ENTRY_POINTS: Final = "drytorch_trackers"
_OWN: Final = "drytorch_trackers."
_TARGET: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Declaration(BaseModel):  # type: ignore[no-redef]  # the plugin's own `**kwargs`
    """A tracker's class and its constructor's arguments.

    Attributes:
        name: under which it is subscribed.
        target: `module:Class`, `file.py:Class` with an absolute path, or a short name.
        args: positional arguments in the plain form of `drytorch_client.plain`.
        kwargs: keyword arguments, likewise.
        handed_over: whether the class or an argument can only be handed over by the training
            process itself, see `drytorch_client.handover`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    name: str
    target: str
    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    handed_over: bool = False
    # no field: what is written to files or printed must not hold it
    _code: bytes = PrivateAttr(b"")

    @property
    def code(self) -> bytes:
        """What was handed over; empty where nothing was, or where that training is gone."""
        return self._code

    def with_code(self, code: bytes) -> Declaration:
        """Return this declaration with what was handed over.

        Args:
            code: what `handover.hand_over` returned.
        """
        copy = self.model_copy(update={"handed_over": True})
        copy._code = code  # noqa: SLF001 - a copy of its own
        return copy

    def build(self, load: Callable[[str], type]) -> Any:
        """Return the tracker itself; called in the worker.

        Args:
            load: returns the tracker class of a target.

        Raises:
            HandoverError: what was handed over cannot be had here.
            TrackerArgumentError: an argument's form is not known here.
            ImportError: an argument names something that cannot be imported.
            AttributeError: an argument names something that its module has not.
        """
        cls: type | None = None
        handed: list[Any] = []
        if self.handed_over:
            from drytorch_client import handover

            cls, handed = handover.take_over(self.name, self.code)
        args = plain.restore(self.args, load, handed)
        kwargs = plain.restore(self.kwargs, load, handed)
        return (cls or load(self.target))(*args, **kwargs)


def declare(tracker: Any, name: str = "") -> Declaration:
    """Return the declaration of a tracker object, or of a tracker named by text.

    The class that a text names is loaded to look at it, but for this distribution's own: what they
    need is to be loaded in workers only.

    Args:
        tracker: an object, a short name, `module:Class` or `file.py:Class`.
        name: under which it is subscribed; the class's name by default.

    Raises:
        UnknownTrackerError: the name leads nowhere.
        NotATrackerError: it is no tracker, or one that cannot work.
        NotImportableError: its class can neither be imported nor handed over.
        TrackerArgumentError: an argument is missing, or cannot be handed to a worker.
    """
    if not isinstance(tracker, str):
        return _of_object(tracker, _checked_object(tracker), name)
    declaration = declare_named(tracker, name)
    target = full_target(declaration.target)
    if not target.startswith(_OWN):
        missing = missing_arguments(_checked_class(targets.load_to_look(target, tracker)))
        if missing:
            raise TrackerArgumentError(
                f"Tracker {tracker} needs {', '.join(missing)}: subscribe an object of it."
            )
    return declaration


def declare_named(text: str, name: str = "") -> Declaration:
    """Return the declaration of a tracker named by text, without loading it.

    Args:
        text: a short name, `module:Class` or `file.py:Class`.
        name: under which it is subscribed; the class's name by default.

    Raises:
        UnknownTrackerError: no tracker has this short name, or its file is not there.
    """
    target = _named(text)
    return Declaration(name=name or full_target(target).rpartition(":")[2], target=target)


def missing_arguments(cls: type, given: Iterable[str] = ()) -> list[str]:
    """Return the names of the arguments that a tracker's constructor needs and is not given.

    Args:
        cls: the tracker's class.
        given: names of keyword arguments.
    """
    if cls.__init__ is object.__init__:  # type: ignore[misc]  # of a class, not of an object
        return []
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    _, *parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in fixed and each.name not in set(given)
    ]


def _of_object(tracker: Any, cls: type, name: str) -> Declaration:
    handed: dict[str, Any] = {}

    def hand(where: str, value: Any) -> dict[str, int]:
        number = len(handed)
        handed[f"{where} (part {number})" if where in handed else where] = value
        return {"!handed": number}

    given_args, given_kwargs = tracker.declared()
    args = [
        plain.to_plain(value, f"Argument {number} of tracker {cls.__name__}", hand)
        for number, value in enumerate(given_args, 1)
    ]
    kwargs = {
        key: plain.to_plain(value, f"Argument {key} of tracker {cls.__name__}", hand)
        for key, value in given_kwargs.items()
    }
    target = plain.import_name(cls)
    declaration = Declaration(
        name=name or cls.__name__,
        target=target or f"{cls.__module__}:{cls.__qualname__}",
        args=args,
        kwargs=kwargs,
    )
    if target and not handed:
        return declaration
    from drytorch_client import handover

    code = handover.hand_over(cls.__name__, None if target else cls, handed)
    return declaration.with_code(code)


def _checked_object(tracker: Any) -> type:
    """Return the class of an object that can be a tracker."""
    if isinstance(tracker, type):
        raise NotATrackerError(
            f"{tracker.__name__} is a class, not a tracker: subscribe {tracker.__name__}()."
        )
    return _checked_class(type(tracker))


def _checked_class(cls: Any) -> type:
    # by its attributes: this package knows no tracker
    if not isinstance(cls, type) or not hasattr(cls, "declared"):
        name = getattr(cls, "__name__", type(cls).__name__)
        raise NotATrackerError(
            f"{name} is not a tracker: derive it from drytorch_trackers.Tracker."
        )
    if problem := cls.broken_rule():  # type: ignore[attr-defined]  # a tracker, as seen above
        raise NotATrackerError(problem)
    return cls


@functools.cache
def short_names() -> Mapping[str, str]:
    """Return the installed trackers' targets by short name, without importing them."""
    return {
        point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINTS)
    }


def full_target(target: str) -> str:
    """Return the `module:Class` that a short name stands for, any other target as it is."""
    return short_names().get(target, target)


def _named(text: str) -> str:
    """Return the target that a text stands for."""
    if text in short_names():
        return text  # kept as it is: the worker names the extra to install by it
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".py"):
        file = pathlib.Path(path).absolute()
        if not file.is_file():
            raise UnknownTrackerError(
                f"Tracker {text} cannot be found: there is no file {file}, check the path.", text
            )
        return f"{file}:{name}"
    if _TARGET.fullmatch(text):
        return text
    near = difflib.get_close_matches(text, short_names(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(sorted(short_names()))}."
    raise UnknownTrackerError(f"There is no tracker named {text!r}: {hint}", text)
