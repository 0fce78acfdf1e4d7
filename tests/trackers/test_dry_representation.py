"""DRYTorch's representation, converted, is what ours makes of the same object."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dry_loading import drytorch_loaded
from drytorch_client.represent import represent
from drytorch_schemas.limits import MAX_EVENT_BYTES
from drytorch_schemas.packing import pack, unpack

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
OBJECTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=14)
        | st.lists(inner, max_size=14).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=14)
    ),
    max_leaves=40,
)


@pytest.fixture(scope="module")
def dry() -> Iterator[Any]:
    """Return DRYTorch's modules and the bridge."""
    with drytorch_loaded() as modules:
        yield modules


@given(obj=OBJECTS)
@settings(max_examples=100, deadline=None)
def test_both_ways_lead_to_the_same(dry: Any, obj: Any) -> None:
    """Two representations that were written apart agree on any plain object, and it can travel."""
    converted = dry.bridge._representation().plain(dry.repr_utils.recursive_repr(obj))
    assert repr(converted) == repr(represent(obj))
    assert repr(unpack(pack(converted), MAX_EVENT_BYTES)) == repr(converted)


def test_sets_keep_their_order(dry: Any) -> None:
    """Elements of a represented set come in the order in which DRYTorch would write them."""
    represented = dry.repr_utils.recursive_repr({f"name {number}" for number in range(15)})
    expected = [
        {"!omitted": 5} if isinstance(each, dry.repr_utils.Omitted) else each
        for each in represented
    ]
    assert dry.bridge._representation().plain(represented) == expected
