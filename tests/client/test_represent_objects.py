"""Representations equal DRYTorch's where it gives one, and exist where it fails."""

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dry_loading import drytorch_loaded
from drytorch_client import markers
from drytorch_client.redaction import SECRET_WORDS, is_secret
from drytorch_client.represent import represent, represent_mapping, represent_summary
from drytorch_schemas.packing import depth_of, pack

with drytorch_loaded() as _modules:
    repr_utils = _modules.repr_utils


@dataclasses.dataclass
class Config:
    """A configuration as users write them."""

    lr: float = 0.1
    nothing: object = None
    empty: list[int] = dataclasses.field(default_factory=list)
    many: list[int] = dataclasses.field(default_factory=lambda: list(range(20)))
    _private: int = 1


class Color(enum.Enum):
    """An enumeration."""

    RED = 1


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    HIGH = 3


class Slotted:
    """An object without a dict."""

    __slots__ = ("_hidden", "shown")

    def __init__(self) -> None:
        self.shown, self._hidden = [1], 2


class Loop:
    """An object that holds itself."""

    def __init__(self) -> None:
        self.me = self
        self.name = "loop"


def as_plain(value: Any) -> Any:
    """Return DRYTorch's representation in the form that ours has."""
    if isinstance(value, repr_utils.Omitted):
        return markers.omitted(None if value.count != value.count else int(value.count))
    if isinstance(value, repr_utils.LiteralStr):
        return markers.literal(str(value))
    if isinstance(value, dict):
        return {markers.safe_key(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [as_plain(item) for item in value]
    return value


def objects() -> Iterator[Any]:
    """Yield objects of many kinds."""
    shared, config = [1, 2], Config()
    yield from (config, Color.RED, Level.HIGH, Slotted(), Loop(), object(), Ellipsis, None)
    yield from (3, True, 1.5, np.float64(2.0), np.int64(3), np.bool_(1), "text", b"bytes")
    yield from ([None, None], [shared, shared], {"a": config, "b": config}, (1, (2, (3,))))
    yield from ({1, 2, 3}, frozenset({1}), set(range(15)), list(range(11)), tuple(range(11)))
    yield from ({i: i for i in range(15)}, {"!omitted": 1}, collections.OrderedDict(a=1))
    yield from (pathlib.Path("x"), datetime.date(2020, 1, 1), range(5), slice(1, 2), iter([1]))
    yield from (torch.nn.Linear(2, 3), torch.nn.Parameter(torch.zeros(12)), torch.arange(12.0))
    yield from (torch.tensor(1.0), torch.float32, torch.device("cpu"), torch.zeros(3, 4, 5))
    yield torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    yield from (np.arange(24).reshape(4, 6), np.arange(3), np.array(3.0), np.zeros((2, 2, 2)))
    yield from (int, print, len, as_plain, lambda: 0, collections.deque([1]), Config)


@pytest.mark.parametrize("depth", [1, 2, 10, 1000])
def test_equal_to_drytorch(depth: int) -> None:
    """Each object looks as in DRYTorch, at each depth."""
    for obj in objects():
        expected = as_plain(repr_utils.recursive_repr(obj, depth=depth))
        assert represent(obj, depth) == expected, obj


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=15) | st.dictionaries(st.text(), inner, max_size=15),
    max_leaves=40,
)


@given(plain.filter(lambda value: depth_of(value) < 15))
def test_plain_data_equal_to_drytorch(value: Any) -> None:
    """Nested lists and maps look as in DRYTorch, but for secrets and lone surrogates."""
    ours, theirs = represent(value), as_plain(repr_utils.recursive_repr(value))
    assert pack(ours)
    if "***" not in repr(ours):
        # repr, because NaN is not equal to itself
        assert repr(ours) == repr(theirs)


class Hostile:
    """Raises at whatever is done to it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __hash__(self) -> int:
        raise RuntimeError("hash")


class HostileList(list[Any]):
    """Has a length, but no elements."""

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("iter")


def impossible() -> Iterator[Any]:
    """Yield objects that DRYTorch cannot represent."""
    cyclic_map: dict[str, Any] = {}
    cyclic_map["me"] = cyclic_map
    cyclic_list: list[Any] = []
    cyclic_list.append(cyclic_list)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    doubled: list[Any] = []
    for _ in range(60):
        doubled = [doubled, doubled]
    yield from (cyclic_map, cyclic_list, deep, doubled, {frozenset({1}), (1, 2)})
    yield from (Hostile(), [Hostile()], {"a": Hostile()}, HostileList(), {Slotted(), Slotted()})
    yield from (2**70, 1 + 2j, decimal.Decimal("1.5"), "\ud800", {"\ud800": "\udfff"})
    yield from ("x" * 3_000_000, ["y" * 500_000] * 9, dict.fromkeys(range(9), "z" * 500000))
    yield from (torch.empty(3, device="meta"), torch.zeros(2).to_sparse(), np.array([object()]))


def test_nothing_raises() -> None:
    """Cycles, depth, size and hostile objects all have a bounded representation."""
    for obj in impossible():
        for found in (represent(obj), represent(obj, 1000), represent_mapping(obj)):
            assert len(pack(found)) < 600_000
            assert depth_of(found) <= 28


def test_metadata_is_always_a_mapping() -> None:
    """Whatever the metadata are, they become a mapping."""
    assert represent_mapping(None) == {}
    assert represent_mapping(3) == {"value": 3}
    assert represent_mapping({"a": 1}) == {"a": 1}
    assert represent_mapping(Config()) == represent(Config())


def test_summary_keeps_every_value() -> None:
    """A summary keeps more than ten keys, and turns one-element tensors into numbers."""
    values = {f"k{number}": number for number in range(20)} | {"t": torch.tensor(0.5), 7: None}
    found = represent_summary(values)
    assert len(found) == 22
    assert (found["t"], found["7"]) == (0.5, None)


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        *[(key, "x", True) for key in ("password", "hf_token", "API-Key", "apiKey", "DB_PASSWD")],
        *[(key, "x", True) for key in ("aws_secret_access_key", "credentials", "clientSecret")],
        *[(key, "x", False) for key in ("tokenizer", "max_tokens", "keys", "secretary")],
        *[("token_dim", 64, False), ("password", 1234, True), ("token", None, False)],
    ],
)
def test_what_looks_like_a_secret(key: str, value: Any, secret: bool) -> None:  # noqa: FBT001 - a parameter
    """Keys are told apart word by word, and sizes of things called token are no secrets."""
    assert is_secret(key, value) == secret


@dataclasses.dataclass
class Database:
    """An object with a secret."""

    user: str
    password: str


def test_no_secret_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are hidden in maps, attributes, repeated objects, reprs and URLs."""
    database = Database("me", "hunter2")
    config = {
        "api_key": "hunter2",
        "credentials": {"deep": ["hunter2"]},
        "one": database,
        "two": [database],
        "url": "postgresql://me:hunter2@host/db",
        "pin": "1234",
    }
    for depth in (0, 1, 2, 10):
        assert "hunter2" not in repr(represent(config, depth))
    assert represent(config)["pin"] == "1234"
    monkeypatch.setattr("drytorch_client.redaction.SECRET_WORDS", SECRET_WORDS | {"pin"})
    assert represent(config)["pin"] == "***"


def test_marks_cannot_be_forged() -> None:
    """A user's own map that looks like a mark is told from one, and its keys can be had back."""
    mine, real = represent([{"!omitted": 3}, list(range(11))])
    assert not markers.is_mark(mine)
    assert markers.user_key(next(iter(mine))) == "!omitted"
    assert markers.is_mark(real[5])
