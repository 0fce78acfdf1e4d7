"""Trackers as declarations: what a worker builds the real tracker from."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import inspect
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from drytorch_client import plain
from drytorch_client.errors import NotATrackerError, UnknownTrackerError

ENTRY_POINTS: Final = "drytorch_trackers"
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

    Args:
        tracker: an object, a short name, `module:Class` or `file.py:Class`.
        name: under which it is subscribed; the class's name by default.

    Raises:
        UnknownTrackerError: no tracker has this short name, or its file is not there.
        NotATrackerError: the object is no tracker.
        NotImportableError: the object's class can neither be imported nor handed over.
        TrackerArgumentError: an argument cannot be handed to a worker.
    """
    if isinstance(tracker, str):
        target = _named(tracker)
        return Declaration(name=name or full_target(target).rpartition(":")[2], target=target)
    return _of_object(tracker, _checked_class(tracker), name)


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


def _checked_class(tracker: Any) -> type:
    """Return the class of an object that can be a tracker."""
    if isinstance(tracker, type):
        raise NotATrackerError(
            f"{tracker.__name__} is a class, not a tracker: subscribe {tracker.__name__}()."
        )
    cls = type(tracker)
    if not callable(getattr(tracker, "declared", None)):
        raise NotATrackerError(
            f"{cls.__name__} is not a tracker: derive it from drytorch_trackers.Tracker."
        )
    for method in ("notify", "clean_up"):
        if not callable(getattr(tracker, method, None)):
            raise NotATrackerError(f"Tracker {cls.__name__} has no method {method}: define it.")
    if inspect.iscoroutinefunction(getattr(cls, "notify", None)):
        raise NotATrackerError(
            f"Method notify of tracker {cls.__name__} is asynchronous: make it a plain method."
        )
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
