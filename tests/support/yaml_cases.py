"""Configurations and actors that DRYTorch and we represent, made alike in two processes."""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

#: A time in names of files; the second start of a run is later.
TS = "2025-08-01T12:54:21"
LATER = "2025-08-02T00:00:01"


@dataclasses.dataclass
class Config:
    """A configuration as users write one."""

    lr: float = 1e-3
    layers: tuple[int, ...] = (1, 2, 3)
    name: str = "resnet"
    steps: list[int] = dataclasses.field(default_factory=lambda: list(range(20)))
    nothing: Any = None
    empty: dict[str, int] = dataclasses.field(default_factory=dict)
    _private: int = 1


class Slots:
    """An object without `__dict__`."""

    __slots__ = ("a", "b", "unset")

    def __init__(self) -> None:
        self.a = 1
        self.b = "two"


class Shown:
    """An object that has nothing but its repr."""

    def __repr__(self) -> str:
        return "Shown: yes, # and 'more'"


class Node:
    """An object that knows itself and its parts."""

    def __init__(self) -> None:
        self.me = self
        self.parts = [Slots(), Shown(), object]
        self.again = self.parts


STRINGS = [
    *("", " ", "~", "null", "Null", "yes", "No", "on", "true", "1", "-1", "1.0", "1e3", "1.5e+3"),
    *("0x1F", "0o17", "017", "1_000", "1:30", ".inf", "-.INF", ".nan", "2025-08-01", "=", "<<"),
    *(
        "- a",
        "a: b",
        "a:",
        ":a",
        "a #b",
        "#",
        "?",
        "&a",
        "*a",
        "!a",
        "!!python/none",
        "|",
        ">",
        "%",
    ),
    *("@", "`", '"', "'", "it's", '"q"', "[a]", "{a}", "a, b", "---", "...", "--- a"),
    *(" lead", "trail ", "\n", "a\nb", "a\n", "\n\na", "a\n\n b", "tab\t", "\ta", "\r", "a\r\nb"),
    *("é", "模型", "شبكة", "😀", "\ufeff", "\x85", "\u2028", "\x7f", "\0", "\x1b[31m", "\ufffe"),
    *("12345678901", "x" * 200, "word " * 60, "word\n" * 30, "模" * 90, "a" * 79 + " b"),
]


def _chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _arrays() -> dict[str, Any]:
    return {
        "vector": np.arange(40.0) / 7,
        "short": np.array([1, 2]),
        "matrix": np.arange(60).reshape(6, 10),
        "cube": np.zeros((3, 4, 5), dtype=np.float32),
        "text": np.array(["a", "é"]),
        "scalars": [np.float32(0.1), np.float64(0.1), np.int64(7), np.bool_(True)],  # noqa: FBT003  # numpy's own
    }


def _tensors() -> dict[str, Any]:
    return {
        "vector": torch.arange(12.0),
        "scalar": torch.tensor(1.5),
        "matrix": torch.arange(60).reshape(6, 10) / 7,
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2, 3)),
        "inside": [torch.ones(1), {"deep": torch.ones(1)}],
    }


def _frames() -> dict[str, Any]:
    pandas = importlib.import_module("pandas")
    return {
        "frame": pandas.DataFrame({"a": range(20), "b": 0.5}),
        "series": pandas.Series([1.0, 2.0]),
    }


def _cyclic_objects() -> Any:
    node = Node()
    return {"node": node, "twice": node}


#: Made anew at each call: what is met twice is represented otherwise.
CASES: dict[str, Callable[[], Any]] = {
    "dataclass": Config,
    "nested": lambda: {"a": {"b": {"c": [Config(), [Slots()]]}}, "slots": Slots(), "own": Shown()},
    "sequences": lambda: {
        "long": list(range(20)),
        "tuple": tuple("abcdefghijkl"),
        "ten": list(range(10)),
        "set": {3, 1, 2},
        "nested": [[1, 2], [3, [4]], []],
        "empty": [[], (), {}],
        "texts": ["0123456789", "01234567890"],
        "maps": [{"a": 1}, {"b": [1]}],
        "omitted in block": ["a longer text"] * 30,
    },
    "mappings": lambda: {
        "many": {f"k{number}": number for number in range(15)},
        "keys": {1: "int", 2.5: "float", None: "none", (1, 2): "tuple"},
        "odd": {"": 1, "!a": 2, "!!b": 3, "!omitted": 4, "a: b": 5, "<<": 6, "=": 7, "é": 8},
        "one": {"!omitted": 7},
        "text": {"!literal": "no literal"},
        "long key": {"k" * 130: 1, "two\nlines": 2},
    },
    "strings": lambda: {str(n): part for n, part in enumerate(_chunks(STRINGS, 9))},
    "numbers": lambda: [
        *_chunks([0, -1, 2**62, True, 0.0, -0.0, 1e300, 5e-324, 0.1 + 0.2, 1e16, 1e-5, 100.0], 6),
        [float("nan"), float("inf"), float("-inf")],
    ],
    "arrays": _arrays,
    "tensors": _tensors,
    "duplicates": lambda: [[None, None], [shared := [1, 2], shared], {"a": shared}],
    "cyclic objects": _cyclic_objects,
    "functions": lambda: {
        "type": Config,
        "function": _chunks,
        "lambda": lambda: 0,
    },
    "none": lambda: None,
    "text": lambda: "just a text",
    "number": lambda: 3,
    "list": lambda: [1, "two", None],
}
if importlib.util.find_spec("pandas") is not None:
    CASES["frames"] = _frames

#: Plain data as DRYTorch's representation never gives it: longer sequences than it keeps.
RAW: dict[str, Any] = {"30": list(range(30)), "31": list(range(31)), "text": ["0123456789"] * 30}

#: Representations of modules.
ARCHITECTURES = {
    "net": "Net()",
    "layers": "Sequential(\n  (0): Linear(in_features=1, bias=True)\n  (1): ReLU()\n)",
    "indented": "  Net(\n    (0): A()\n  )",
    "blank lines": "\n\nNet()\n\n",
    "trailing blanks": "Net() \n (a) ",
    "accents": "Réseau()\n",
    "empty": "",
    "no yaml": "--- !!python/object:os.system [x]\n# é",
}
#: Names of models and sources.
NAMES = [
    "net",
    "my net",
    "réseau 模型",
    "-x: {y}",
    "a.b",
    "%s 50%",
    "x" * 100,
    ".hidden",
    "'q\"",
    "C:\\d",
]
