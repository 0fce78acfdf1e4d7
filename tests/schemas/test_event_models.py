"""Events: strict where users construct them, kept whole where readers read them."""

import datetime
import decimal
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drytorch_schemas import events
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack
from wire_values import KINDS, PLAIN, TEXTS, event_of, same

UPSTREAM = (
    *("StartExperiment", "StopExperiment", "ModelRegistration", "ActorRegistration"),
    *("StartTraining", "StartEpoch", "EndEpoch", "TerminatedTraining", "EndTraining"),
    *("StartTest", "EndTest", "IterateBatch", "Metric", "LearningRate", "SaveModel", "LoadModel"),
)


def metric(**changes: Any) -> events.MetricEvent:
    """Make a metric event with some fields changed."""
    names: dict[str, Any] = {"model_name": "net", "source_name": "Trainer"}
    return events.MetricEvent(**names | {"epoch": 1, "metrics": {"loss": 0.5}} | changes)


@pytest.fixture
def other_time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the local time be ten hours ahead."""
    monkeypatch.setenv("TZ", "XYZ-10")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_survives_the_wire(kind: str) -> None:
    """An event of each class, with any values, is the same after msgpack."""

    @settings(max_examples=25, deadline=None)
    @given(event_of(kind))
    def check(event: events.Event) -> None:
        fields = unpack(pack(event.to_wire()))
        received = events.Event.from_wire(event.kind, fields)
        assert same(received, event)
        assert received == event or "nan" in repr(event)

    check()


def test_upstream_events_are_all_there() -> None:
    """DRYTorch's sixteen events are among ours."""
    assert set(UPSTREAM) <= set(events.event_classes())
    assert len(UPSTREAM) == 16


@given(TEXTS.filter(lambda kind: kind not in events.event_classes()), st.dictionaries(TEXTS, PLAIN))
@settings(max_examples=30, deadline=None)
def test_unknown_kinds_pass_through(kind: str, fields: dict[str, Any]) -> None:
    """An event of a kind that is not known keeps kind and fields, also empty ones."""
    event = events.Event.from_wire(kind, fields)
    assert isinstance(event, events.UnknownEvent)
    assert event.name == kind
    assert same(event.to_wire(), fields)


def test_unknown_fields_pass_through() -> None:
    """A field of a newer writer stays with the event when it is written again."""
    wire = metric().to_wire() | {"unit": "nats"}
    event = events.Event.from_wire("Metric", wire)
    assert event.model_extra == {"unit": "nats"}
    assert event.to_wire() == wire


def test_unknown_kind_named_unknown() -> None:
    """A kind that is called Unknown is read as any other that is not known."""
    event = events.Event.from_wire("Unknown", {"name": "a", "other": 1})
    assert isinstance(event, events.UnknownEvent)
    assert event.fields == {"name": "a", "other": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": "1"},
        {"epoch": 1.0},
        {"epoch": True},
        {"epoch": 2**64},
        {"model_name": b"net"},
        {"model_name": "\ud800"},
        {"model_name": "x" * 10_001},
        {"metrics": {"loss": "0.5"}},
        {"metrics": {"loss": True}},
        {"metrics": {"loss": None}},
        {"metrics": {1: 0.5}},
        {"metrics": {"\udfff": 0.5}},
        {"metrics": [0.5]},
        {"unknown": 1},
    ],
    ids=repr,
)
def test_wrong_types_raise_where_the_event_is_made(changes: dict[str, Any]) -> None:
    """A wrong type, an unknown field or an impossible name is a validation error at once."""
    with pytest.raises(ValidationError):
        metric(**changes)


class Scalar:
    """What numpy and torch offer: `item()`, and perhaps `detach()`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Scalar({self.value!r})"  # a test's name must be the same in every process

    def item(self) -> Any:
        """Give the only element."""
        if isinstance(self.value, list):
            raise ValueError("only one element tensors can be converted")  # noqa: TRY004  # torch's
        return self.value


class Whole(int):
    """A subclass of int, as numpy and enums have them."""


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (3, 3),
        (3.0, 3.0),
        (-0.0, -0.0),
        (math.inf, math.inf),
        (math.nan, math.nan),
        (2**64 - 1, 2**64 - 1),
        (2**64, float(2**64)),
        (Whole(3), 3),
        (Scalar(0.25), 0.25),
        (Scalar(7), 7),
        (decimal.Decimal("0.5"), 0.5),
    ],
    ids=repr,
)
def test_metric_values(given_value: Any, expected: float) -> None:
    """Numbers keep their type and value; scalars of other libraries become plain ones."""
    assert same(metric(metrics={"m": given_value}).metrics["m"], expected)


@pytest.mark.parametrize("value", [Scalar([1, 2]), Scalar(value=True), Scalar("x"), 1j], ids=repr)
def test_what_is_no_metric(value: Any) -> None:
    """Tensors of several elements, truth values, text and complex numbers are refused by name."""
    with pytest.raises(ValidationError, match="'m'"):
        metric(metrics={"m": value})


def test_only_unfinished_progress_is_live() -> None:
    """Progress is live but for the last one of a pass; everything else is durable."""
    progress = events.BatchProgressEvent(source_name="T", pass_id=1, batches=3)
    assert progress.live
    assert not events.BatchProgressEvent(source_name="T", pass_id=1, batches=4, final=True).live
    assert not metric().live


def test_times_name_folders_alike_elsewhere(other_time_zone: None) -> None:  # noqa: ARG001  # sets the zone
    """A reader in another time zone gets the writer's local time."""
    wire = {"local": "2024-05-01T12:30:00.000001", "utc": "2024-05-01T19:30:00.000001+00:00"}
    fields: dict[str, Any] = {"model_name": "m", "model_ts": wire, "architecture_repr": ""}
    event = events.Event.from_wire("ModelRegistration", fields)
    assert isinstance(event, events.ModelRegistrationEvent)
    assert event.model_ts == datetime.datetime(2024, 5, 1, 12, 30, 0, 1)  # noqa: DTZ001  # naive by design
    assert event.to_wire()["model_ts"]["utc"] == "2024-05-01T02:30:00.000001+00:00"


def test_paths_that_are_no_text_can_be_told() -> None:
    """A folder whose name is no UTF-8 does not stop a run's first event."""
    event = events.StartExperimentEvent(
        config=None,
        exp_name="e",
        run_ts=datetime.datetime(2024, 1, 1),  # noqa: DTZ001  # naive by design
        run_id="r",
        par_dir=Path("/tmp/\udcff"),  # noqa: S108  # only a name
    )
    assert unpack(pack(event.to_wire()))["par_dir"] == "/tmp/\ufffd"  # noqa: S108  # only a name


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model_name": "m"},
        {"model_name": 1, "source_name": "s", "epoch": 1, "metrics": {}},
        {"model_name": "m", "source_name": "s", "epoch": 1, "metrics": {"a": "1"}},
        {"model_name": "m", "source_name": "s", "epoch": "1", "metrics": {}},
    ],
    ids=repr,
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any]) -> None:
    """A known kind with missing or wrong fields is a decoding error that names the class."""
    with pytest.raises(DecodingError, match="MetricEvent"):
        events.Event.from_wire("Metric", fields)


@pytest.mark.parametrize("moment", [None, 5, {}, {"local": 5}, {"local": "noon"}], ids=repr)
def test_broken_times(moment: Any) -> None:
    """A time that is none is a decoding error."""
    fields: dict[str, Any] = {"model_name": "m", "model_ts": moment, "architecture_repr": ""}
    with pytest.raises(DecodingError, match="ModelRegistrationEvent"):
        events.Event.from_wire("ModelRegistration", fields)


def test_users_own_classes_are_not_registered() -> None:
    """A subclass made outside this package does not change what is read."""
    before = events.event_classes()

    class MetricEvent(events.Event):  # defining it is the test
        x: int

    assert events.event_classes() == before


def test_events_do_not_change() -> None:
    """An event cannot be changed after it was made."""
    with pytest.raises(ValidationError):
        metric().epoch = 2  # type: ignore[misc]  # that it fails is the test
