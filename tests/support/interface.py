"""What a class or a function offers to users, as the page on the Python interface shows it."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)


def signature(name: str, function: Any) -> str:
    """Return a call without annotations: names, order and defaults."""
    found = inspect.signature(function)
    bare = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in found.parameters.values()
        if each.name not in {"self", "cls"}
    ]
    text = found.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    return f"{name}{text}"


def sentence(thing: Any) -> str:
    """Return the first paragraph of a docstring in one line."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def members(cls: type, inside: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield attributes, properties and methods with what is said of them."""
    for name, text in _ATTRIBUTE.findall(inspect.getdoc(cls) or ""):
        yield name, " ".join(text.split())
    for owner in [each for each in cls.__mro__ if each.__module__.startswith("drytorch_")][::-1]:
        for name, thing in vars(owner).items():
            if name.startswith("_") or name in inside:
                continue
            if isinstance(thing, property):
                yield name, sentence(thing)
            elif inspect.isfunction(thing) or isinstance(thing, classmethod | staticmethod):
                yield signature(name, getattr(cls, name)), sentence(thing)
