"""What no other process can import: a class of the script itself, a function of a notebook's cell.

It is pickled by value in the training process and goes to that process's own workers, over the
private pipe that tells them what to do; never into a file, onto a command line or over a socket.
This is the only module that may pickle or unpickle.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import cloudpickle  # type: ignore[import-untyped]  # ships no types

from drytorch_client import plain
from drytorch_client.errors import HandoverError, NotImportableError, TrackerArgumentError

#: Most bytes that one tracker's class and arguments may take.
MAX_CODE_BYTES: Final = 4 << 20
_DISPATCHER: Final[Any] = functools.singledispatch(lambda _: None)
_CACHED: Final = type(functools.lru_cache(lambda: None))
_ERROR_CHARACTERS: Final = 300


def hand_over(tracker: str, cls: type | None, values: Mapping[str, Any]) -> bytes:
    """Return a tracker's class and those of its arguments that have no plain form.

    Args:
        tracker: name of the tracker's class.
        cls: the class; None where a worker can import it.
        values: the arguments, by what they are called in an error.

    Returns:
        What `take_over` takes.

    Raises:
        NotImportableError: the class can be neither imported nor pickled.
        TrackerArgumentError: an argument cannot be pickled.
    """
    try:
        code = _pickled((cls, list(values.values())))
    except Exception as error:
        raise _explained(tracker, cls, values) or NotImportableError(
            f"Tracker {tracker} cannot be handed to a worker with its arguments "
            f"({_one_line(error)}): move it to a module of its own beside the script."
        ) from error
    if len(code) > MAX_CODE_BYTES:
        raise TrackerArgumentError(
            f"Tracker {tracker} takes {len(code)} bytes with all that it refers to, more than the "
            f"{MAX_CODE_BYTES} allowed: let it load large data by itself, in its method setup."
        )
    return code


def take_over(tracker: str, code: bytes) -> tuple[type | None, list[Any]]:
    """Return class and arguments; called in the worker.

    Args:
        tracker: name of the tracker.
        code: what `hand_over` returned in the training process that started this worker.

    Raises:
        HandoverError: they cannot be had here.
    """
    if not code:
        raise HandoverError(
            f"Tracker {tracker} is defined in a training that is gone, and only that could start "
            f"it again: put its class into a module and name it to `drytorch replay`."
        )
    try:
        cls, values = pickle.loads(code)  # noqa: S301  # from the parent, over a private pipe
    except Exception as error:
        raise HandoverError(
            f"Tracker {tracker} of the training's script cannot be rebuilt in a worker "
            f"({_one_line(error)}): move it to a module of its own beside the script."
        ) from error
    return cls, values


# ---- pickling


def _pickled(value: Any) -> bytes:
    with io.BytesIO() as file, _ByValue() as by_value:
        _Pickler(file, by_value).dump(value)
        return file.getvalue()


class _ByValue(contextlib.ExitStack):
    """The modules that workers would not find, whose classes and functions go along for a while."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[str] = {"__main__"}  # cloudpickle takes what is in there along anyhow

    def meet(self, name: str) -> None:
        """Take a module's content along where no worker would find it."""
        if name in self._known or name not in sys.modules:
            return
        self._known.add(name)
        if plain.can_be_found(name):
            return
        module = sys.modules[name]
        if name not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self.callback(cloudpickle.unregister_pickle_by_value, module)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # as above
    """Pickles classes and functions by value, and the standard library's wrappers around them.

    Single dispatch keeps weak references, and caches keep locks: both are made anew from what they
    were made of.
    """

    def __init__(self, file: io.BytesIO, by_value: _ByValue) -> None:
        super().__init__(file)
        self._by_value = by_value

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object is made again, NotImplemented for the usual way."""
        if isinstance(obj, types.ModuleType):
            self._by_value.meet(obj.__name__)
            return NotImplemented
        if isinstance(obj, functools.cached_property):
            return _cached_property, (obj.func, obj.attrname)
        self._by_value.meet(getattr(obj, "__module__", None) or "")
        if _is_dispatcher(obj):
            state = obj.__wrapped__, list(obj.registry.items())
            return _empty_dispatcher, (), state, None, None, _fill
        if isinstance(obj, _CACHED) and plain.import_name(obj) is None:
            return _empty_cache, (obj.cache_parameters(),), obj.__wrapped__, None, None, _fill_cache
        return super().reducer_override(obj)


def _is_dispatcher(value: Any) -> bool:
    """Tell whether a value is a function with single dispatch that no worker can import.

    `functools.singledispatchmethod` has one inside.
    """
    code = getattr(value, "__code__", None)
    return code is _DISPATCHER.__code__ and plain.import_name(value) is None


# A function may refer to the wrapper around it, so that is made empty first and filled later.


def _empty_dispatcher() -> Any:
    def anything(*_args: Any, **_kwargs: Any) -> None:
        """Stand in for the function until that is there."""

    return functools.singledispatch(anything)


def _fill(dispatcher: Any, state: tuple[Any, Iterable[tuple[type, Any]]]) -> None:
    function, registry = state
    functools.update_wrapper(dispatcher, function)
    for cls, registered in registry:
        dispatcher.register(cls, registered)


def _cached_property(function: Any, name: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def _empty_cache(parameters: Mapping[str, Any]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        return cache.__wrapped__(*args, **kwargs)

    cache: Any = functools.lru_cache(**parameters)(call)
    return cache


def _fill_cache(cache: Any, function: Callable[..., Any]) -> None:
    functools.update_wrapper(cache, function)


# ---- what is in the way


def _explained(
    tracker: str, cls: type | None, values: Mapping[str, Any]
) -> NotImportableError | TrackerArgumentError | None:
    """Return an error that names what cannot be pickled, where it is found."""
    for where, value in values.items():
        if problem := _problem(value):
            return TrackerArgumentError(
                f"{where} is a {type(value).__name__}, which cannot be handed to a worker "
                f"({problem}): let the tracker make it by itself, in its method setup."
            )
    for name, value in {} if cls is None else _used(cls):
        if problem := _problem(value):
            return NotImportableError(
                f"Tracker {tracker} uses {name}, a {type(value).__name__} that cannot be handed "
                f"to a worker ({problem}): let it make its own, in its method setup."
            )
    return None


def _problem(value: Any) -> str:
    try:
        _pickled(value)
    except Exception as error:  # noqa: BLE001 - a class of the user's own may raise anything
        return _one_line(error)
    return ""


def _used(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class's attributes are, and what its functions refer to, by name."""
    for name, value in vars(cls).items():
        plain_attribute = not name.startswith("__") and not callable(value)
        functions = list(_functions(value))
        if plain_attribute and not functions:
            yield name, value
        for function in functions:
            with contextlib.suppress(ValueError):  # a variable that has no value yet
                found = inspect.getclosurevars(function)
                used = {**found.globals, **found.nonlocals}
                yield from ((key, each) for key, each in used.items() if each is not cls)


def _functions(value: Any) -> Iterator[types.FunctionType]:
    if isinstance(value, functools.singledispatchmethod):
        for registered in value.dispatcher.registry.values():
            yield from _functions(registered)
    elif isinstance(value, property):
        yield from (each for each in (value.fget, value.fset) if each is not None)  # type: ignore[misc]  # functions, by nature
    elif isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, (staticmethod, classmethod, functools.cached_property)):
        yield from _functions(getattr(value, "__func__", None) or getattr(value, "func", None))


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_ERROR_CHARACTERS]
