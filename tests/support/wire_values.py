"""Hypothesis strategies of what travels: events of every class, origins, control messages."""

import datetime
import types
import typing
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from drytorch_schemas import control, events
from drytorch_schemas.envelope import Origin

INTEGERS = st.integers(-(2**63), 2**64 - 1)
SEQUENCES = st.integers(0, 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.one_of(
    TEXTS.filter(bool), st.sampled_from(["x" * 10_000, "שלום", "a/b", "run*[1]?", "nul\0", ".."])
)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
HEX_IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS, st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
FILTERS = st.builds(
    control.Filter,
    experiment=NAMES,
    run_id=NAMES,
    run=st.none() | HEX_IDS,
    kinds=st.lists(TEXTS, max_size=3),
)
ORIGINS = st.builds(
    Origin,
    producer=HEX_IDS,
    experiment=NAMES,
    run_id=NAMES,
    run=HEX_IDS,
    rank=st.integers(0, 100),
    host=TEXTS,
)
_OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: NAMES,
    int: st.integers(0, 2**63 - 1),
    float: FLOATS,
    bool: st.booleans(),
    type(None): st.none(),
    bytes: st.binary(min_size=8, max_size=64),
    Any: PLAIN,
    Path: TEXTS.filter(lambda text: "\0" not in text).map(Path),
    datetime.datetime: st.datetimes(
        datetime.datetime.fromisoformat("1971-01-01"), datetime.datetime.fromisoformat("2100-01-01")
    ),
    control.Filter: FILTERS,
}


def of_annotation(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values of a field's type."""
    if (found := _OF_TYPE.get(annotation)) is not None:
        return found
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return of_annotation(arguments[0])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(of_annotation, arguments))
    parts = [of_annotation(argument) for argument in arguments]
    if origin is dict:
        return st.dictionaries(NAMES, parts[1], max_size=3)
    assert origin in (list, tuple), annotation
    return st.tuples(*parts) if origin is tuple else st.lists(*parts, min_size=1, max_size=3)


def _of_field(name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    special = {
        "producer": HEX_IDS,
        "worker": TEXTS.filter(bool),
        "instance": HEX_IDS,
        "last_error": TEXTS,
        "start": None,
        "max_bytes": st.integers(1, 4 << 20),
        "max_records": st.integers(1, 10_000),
        "type": st.just(field.default),
    }.get(name)
    if name == "start" and field.annotation is str:
        special = st.sampled_from(["cursor", "start", "now", "0", "9" * 19])
    return special if special is not None else of_annotation(field.annotation)


def of_model(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Return instances of a model with all its fields given."""
    fields = {name: _of_field(name, field) for name, field in model.model_fields.items()}
    return st.builds(model, **fields)


def event_of(kind: str) -> st.SearchStrategy[events.Event]:
    """Return events of a kind."""
    return of_model(events.event_classes()[kind])


KINDS = sorted(set(events.event_classes()) - {"Unknown"})
EVENTS = st.sampled_from(KINDS).flatmap(event_of)


def same(one: Any, other: Any) -> bool:
    """Compare as `==` does, but NaN equals NaN, -0.0 differs from 0.0, and 1 from 1.0 and True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, BaseModel):
        return same(one.__dict__, other.__dict__) and same(one.model_extra, other.model_extra)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(repr(one) == repr(other)) if isinstance(one, float) else bool(one == other)
