"""Control messages to bytes and back."""

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import control, limits
from drytorch_schemas.errors import DecodingError, EncodingError
from drytorch_schemas.packing import pack
from wire_values import FILTERS, of_model, same

MESSAGES = sorted(control.Message.__subclasses__(), key=lambda each: each.__name__)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each.__name__)
def test_every_message_survives(message: type[control.Message]) -> None:
    """A message of each type, with any values, is the same after the wire."""

    @settings(max_examples=20, deadline=None)
    @given(of_model(message))
    def check(sent: Any) -> None:
        received = control.decode(control.encode(sent))
        assert type(received) is message
        assert same(received.model_dump(), sent.model_dump())

    check()


def hello(**changes: Any) -> dict[str, Any]:
    """Return the map of a hello with some fields changed."""
    names = {"type": "hello", "id": 3, "producer": "p", "token": b"t" * 16, "host": "h"}
    return names | {"pid": 1, "oldest": 1, "next": 1} | changes


def test_every_message_can_be_decoded() -> None:
    """The union that is decoded holds every message class, each under a name of its own."""
    types = [message.model_fields["type"].default for message in MESSAGES]
    assert len(set(types)) == len(MESSAGES) == 18


def test_unknown_fields_are_ignored() -> None:
    """A field that a newer peer adds does no harm, at the top and in a filter."""
    assert control.decode(pack(hello(later={"x": 1}))) == control.decode(pack(hello()))
    asked = {"type": "fetch", "start": 1, "filters": [{"experiment": "a", "later": 1}]}
    received = control.decode(pack(asked))
    assert isinstance(received, control.Fetch)
    assert received.filters == [control.Filter(experiment="a")]


def test_missing_fields_have_their_defaults() -> None:
    """A message of an older peer gets the defaults of what it does not say."""
    received = control.decode(pack(hello()))
    assert isinstance(received, control.Hello)
    assert (received.version, received.adopted, received.spool) == (
        limits.PROTOCOL_VERSION,
        False,
        "",
    )


def fetch(**changes: Any) -> dict[str, Any]:
    """Return the map of a fetch with some fields changed."""
    return {"type": "fetch", "start": 0, "filters": [{}]} | changes


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {},
        {"type": "later"},
        {"type": ["hello"]},
        hello(pid="1"),
        hello(pid=1.0),
        hello(oldest=-1),
        hello(next=2**63),
        hello(token=b"short"),
        hello(token="t" * 16),
        hello(token=b"t" * 65),
        hello(producer=""),
        hello(producer="p" * 65),
        hello(adopted=1),
        hello(id="1"),
        fetch(filters=[]),
        fetch(filters=[{}] * 65),
        fetch(filters=[{"experiment": ""}]),
        fetch(filters=[{"run_id": "x" * 10_001}]),
        fetch(max_bytes=0),
        fetch(max_bytes=limits.MAX_FETCH_BYTES + 1),
        fetch(max_records=limits.MAX_FETCH_RECORDS + 1),
        {"type": "attach", "worker": "w", "instance": "i", "filters": [{}], "start": "-1"},
        {"type": "attach", "worker": "w", "instance": "i", "filters": [{}], "start": "1" * 20},
        {"type": "ask", "what": "everything"},
    ],
    ids=lambda fields: repr(fields)[-40:],
)
def test_what_is_no_message(fields: Any) -> None:
    """A map that is not a message as documented is a decoding error."""
    with pytest.raises(DecodingError):
        control.decode(pack(fields))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a message or a decoding error."""
    with pytest.raises(DecodingError):
        control.decode(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_messages(data: st.DataObject) -> None:
    """A damaged message is a message or a decoding error."""
    encoded = bytearray(pack(hello()))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodingError):
        control.decode(bytes(encoded))


def test_answers_hold_plain_data_only() -> None:
    """An answer that has no msgpack form is an encoding error."""
    with pytest.raises(EncodingError):
        control.encode(control.Answer(data=object()))


@settings(max_examples=30, deadline=None)
@given(FILTERS)
def test_filters_survive(sent: control.Filter) -> None:
    """A filter is the same after its wire form, and after its own form."""
    assert control.Filter.wired(sent.unwired()) == sent
    assert control.Filter.model_validate(msgpack.unpackb(msgpack.packb(sent.model_dump()))) == sent
