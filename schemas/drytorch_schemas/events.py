"""One pydantic model per kind of event: DRYTorch's sixteen, and this project's additions.

Names and fields are DRYTorch's. An event is data: creating one does nothing. Models are strict, so
that a wrong type is a `pydantic.ValidationError` in the caller's own line; what arrives over the
wire is read by `Event.from_wire`, which keeps unknown fields and unknown kinds.
"""

from __future__ import annotations

import datetime
import decimal
import numbers
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from drytorch_schemas.errors import DecodingError
from drytorch_schemas.limits import MAX_METRICS, MAX_NAME_LENGTH

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1

Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
#: msgpack carries integers of 64 bits; a larger one becomes a float.
Number = Annotated[int, Field(ge=_MIN_INT, le=_MAX_INT)] | float
Status = Literal["completed", "failed", "running", "created"]


def plain_number(value: object) -> int | float:
    """Turn a numpy scalar, a Decimal or a tensor of one element into a Python number.

    Args:
        value: whatever a user reported as a metric.

    Returns:
        An int where the value is integral by type, else a float.

    Raises:
        TypeError: the value is no number, or a bool.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # subclasses such as numpy.float64 become plain: other programs must be able to read them
        return int(value) if isinstance(value, int) else float(value)

    if (detach := getattr(value, "detach", None)) is not None:
        value = detach()
    if (item := getattr(value, "item", None)) is not None:
        # numpy and torch both offer item(); more than one element raises there
        try:
            value = item()
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{type(value).__name__} of more than one element") from None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    if isinstance(value, (numbers.Real, decimal.Decimal)) and not isinstance(value, bool):
        return float(value)
    raise TypeError(type(value).__name__)


def _convert_metrics(value: Any) -> Any:
    """Convert only where something is not plain: plain numbers are the common case and must stay cheap."""
    if not isinstance(value, Mapping):
        return value
    for item in value.values():
        if type(item) is not float and type(item) is not int:
            break
    else:
        return value
    converted = {}
    for key, item in value.items():
        try:
            converted[key] = plain_number(item)
        except TypeError as error:
            raise PydanticCustomError(
                "metric_value",
                "metric {name} must be an int or a float, not {kind}",
                {"name": repr(key), "kind": str(error)},
            ) from None
    return converted


Metrics = Annotated[
    dict[Name, Number], Field(max_length=MAX_METRICS), BeforeValidator(_convert_metrics)
]


class Event(BaseModel):
    """Base class of all events.

    Attributes:
        kind: the name under which the event travels: the class name without `Event`.
        live: whether the event may be coalesced and lost (else it is durable).
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        revalidate_instances="never",
    )

    _registry: ClassVar[dict[str, type[Event]]] = {}
    _times: ClassVar[tuple[str, ...]] = ()
    _paths: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the kind, and find the fields that msgpack cannot carry as they are."""
        super().__pydantic_init_subclass__(**kwargs)
        cls.kind = cls.__name__.removesuffix("Event")
        fields = cls.model_fields
        cls._times = tuple(n for n, f in fields.items() if f.annotation is datetime.datetime)
        cls._paths = tuple(n for n, f in fields.items() if f.annotation is pathlib.Path)
        if cls.__module__ == __name__:
            Event._registry[cls.kind] = cls

    @property
    def live(self) -> bool:
        """Whether this event may be coalesced and lost."""
        return False

    def to_wire(self) -> dict[str, Any]:
        """Return the fields as plain data for msgpack (not a deep copy).

        A time becomes `{'local': ..., 'utc': ...}`, both ISO 8601. The naive local one names folders and is
        what `from_wire` gives, so that a replay in another time zone names them alike. A path becomes text.
        """
        fields = dict(self.__dict__)
        for name in self._times:
            fields[name] = _time_to_wire(fields[name])
        for name in self._paths:
            fields[name] = str(fields[name])
        return fields

    @classmethod
    def from_wire(cls, kind: str, fields: Mapping[str, Any]) -> Event:
        """Build the event of a kind from the fields that travelled.

        Args:
            kind: the kind as it stands in the envelope.
            fields: the fields as msgpack gave them. Unknown ones are kept in `model_extra`.

        Returns:
            The event; an `UnknownEvent` where the kind is not known here.

        Raises:
            DecodingError: a field of a known kind is missing or of a wrong type.
        """
        event_class = cls._registry.get(kind)
        if event_class is None or event_class is UnknownEvent:
            return UnknownEvent(name=kind, fields=dict(fields))
        return event_class._read(fields)

    @classmethod
    def _read(cls, fields: Mapping[str, Any]) -> Self:
        plain = dict(fields)
        try:
            for name in cls._times:
                plain[name] = datetime.datetime.fromisoformat(plain[name]["local"])
            for name in cls._paths:
                if name in plain:
                    plain[name] = pathlib.Path(plain[name])
            return cls.model_validate(plain, extra="allow")
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            raise DecodingError(f"{cls.__name__} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"


def _time_to_wire(value: datetime.datetime) -> dict[str, str]:
    # a naive time is this process's local time, as everywhere in DRYTorch
    local = value.replace(tzinfo=None)
    return {"local": local.isoformat(), "utc": value.astimezone(datetime.UTC).isoformat()}


class StartExperimentEvent(Event):
    """A run starts.

    Attributes:
        config: the experiment's configuration as plain data.
        exp_name: name of the experiment.
        run_ts: the run's timestamp, local time; it names folders.
        run_id: identifier of the run.
        resumed: whether the run continues an earlier one.
        par_dir: the experiment's parent folder, absolute.
        tags: descriptors of the experiment's variation, for example `lr=0.01`.
    """

    config: Any
    exp_name: Name
    run_ts: datetime.datetime
    run_id: Name
    resumed: bool = False
    par_dir: pathlib.Path = pathlib.Path()
    tags: list[str] = Field(default_factory=list)


class StopExperimentEvent(Event):
    """A run stops.

    Attributes:
        exp_name: name of the experiment.
        run_id: identifier of the run.
        status: how the run ended, where known.
        summary: last values that the user wrote to `run.summary`, plain data.
    """

    exp_name: Name
    run_id: Name
    status: Status | None = None
    summary: dict[str, Any] = Field(default_factory=dict)


class UpdateExperimentEvent(Event):
    """Config or tags were extended after the run's start.

    Attributes:
        config: the whole configuration as it is now, plain data.
        tags: all tags as they are now.
    """

    config: Any
    tags: list[str] = Field(default_factory=list)


class ModelRegistrationEvent(Event):
    """A model was registered.

    Attributes:
        model_name: name of the model.
        model_ts: the model's timestamp, local time.
        architecture_repr: representation of the module.
    """

    model_name: Name
    model_ts: datetime.datetime
    architecture_repr: str


class ActorRegistrationEvent(Event):
    """A source of metrics (trainer, validation, test) was registered.

    Attributes:
        actor_name: name of the source.
        actor_ts: the source's timestamp, local time.
        model_name: name of the model that it acts on.
        model_ts: the model's timestamp, local time.
        metadata: description of the source, plain data.
    """

    actor_name: Name
    actor_ts: datetime.datetime
    model_name: Name
    model_ts: datetime.datetime
    metadata: dict[str, Any]


class StartTrainingEvent(Event):
    """A training starts.

    Attributes:
        source_name: name of the trainer.
        model_name: name of the model.
        start_epoch: epochs trained before.
        end_epoch: the last epoch of this training.
    """

    source_name: Name
    model_name: Name
    start_epoch: int
    end_epoch: int


class EndTrainingEvent(Event):
    """A training ended.

    Attributes:
        source_name: name of the trainer.
    """

    source_name: Name


class TerminatedTrainingEvent(Event):
    """A training was terminated early.

    Attributes:
        source_name: name of the object that terminates the training.
        model_name: name of the model.
        epoch: the epoch at which it was terminated.
        reason: why.
    """

    source_name: Name
    model_name: Name
    epoch: int
    reason: str


class StartEpochEvent(Event):
    """An epoch starts.

    Attributes:
        source_name: name of the trainer.
        model_name: name of the model.
        epoch: number of the epoch, from 1.
        end_epoch: the last epoch of this training, where known.
    """

    source_name: Name
    model_name: Name
    epoch: int
    end_epoch: int | None = None


class EndEpochEvent(Event):
    """An epoch ended.

    Attributes:
        source_name: name of the trainer.
        model_name: name of the model.
        epoch: number of the epoch, from 1.
    """

    source_name: Name
    model_name: Name
    epoch: int


class StartTestEvent(Event):
    """A test starts.

    Attributes:
        source_name: name of the test.
        model_name: name of the model.
    """

    source_name: Name
    model_name: Name


class EndTestEvent(Event):
    """A test ended.

    Attributes:
        source_name: name of the test.
        model_name: name of the model.
    """

    source_name: Name
    model_name: Name


class IterateBatchEvent(Event):
    """A pass over a loader starts.

    Attributes:
        source_name: name of the source that iterates.
        batch_size: samples in a batch, None where unknown.
        n_iter: batches in the pass, None where unknown.
        dataset_size: samples in the data set, None where unknown.
        pass_id: counts the passes of this source in this run, from 1; 0 where unknown.
    """

    source_name: Name
    batch_size: int | None
    n_iter: int | None
    dataset_size: int | None
    pass_id: int = 0


class BatchProgressEvent(Event):
    """How far a pass over a loader is. Live, but for the last one of a pass.

    Attributes:
        source_name: name of the source that iterates.
        pass_id: the pass, as in `IterateBatchEvent`.
        batches: batches done in this pass, over all processes.
        samples: samples seen in this pass, None where unknown.
        metrics: latest values of the metrics.
        final: whether the pass is over.
    """

    source_name: Name
    pass_id: int
    batches: int
    samples: int | None = None
    metrics: Metrics = Field(default_factory=dict)
    final: bool = False

    @property
    def live(self) -> bool:
        """Whether this event may be coalesced and lost: not the last one of a pass."""
        return not self.final


class MetricEvent(Event):
    """Metrics of one pass, or of one step.

    Attributes:
        model_name: name of the model.
        source_name: name of the source that computed them.
        epoch: epochs that the model was trained.
        metrics: value by name; NaN and infinities are valid.
        step: the step, where the metrics belong to a step and not to an epoch.
    """

    model_name: Name
    source_name: Name
    epoch: int
    metrics: Metrics
    step: int | None = None


class LearningRateEvent(Event):
    """The learning rate was updated.

    Attributes:
        model_name: name of the model.
        source_name: name of the source that updated it.
        epoch: epochs that the model was trained.
        base_lr: new value, or values by parameter group.
        scheduler_name: representation of the scheduler.
    """

    model_name: Name
    source_name: Name
    epoch: int
    base_lr: dict[str, float] | float | None = None
    scheduler_name: str | None = None


class SaveModelEvent(Event):
    """A checkpoint was saved: its files exist.

    Attributes:
        model_name: name of the model.
        definition: `checkpoint` with an optimizer, else `state`.
        location: folder of the files.
        epoch: epochs that the model was trained.
    """

    model_name: Name
    definition: str
    location: str
    epoch: int


class LoadModelEvent(Event):
    """A checkpoint was loaded.

    Attributes:
        model_name: name of the model.
        definition: `checkpoint` with an optimizer, else `state`.
        location: folder of the files.
        epoch: the epoch at which the model was saved.
    """

    model_name: Name
    definition: str
    location: str
    epoch: int


class CustomEvent(Event):
    """An event of the user's own.

    Attributes:
        name: the user's name for it.
        payload: plain data.
    """

    name: Name
    payload: dict[str, Any] = Field(default_factory=dict)


class LossEvent(Event):
    """Events that `emit` accepted and that will never reach the journal.

    Attributes:
        count: how many.
        reason: why, for example `queue full`.
        kinds: how many by kind.
    """

    count: int
    reason: str
    kinds: dict[str, int] = Field(default_factory=dict)


class RunLostEvent(Event):
    """The broker's note: the run's producer is gone without a word.

    Attributes:
        producer: id of the producer that is gone.
        reason: how the broker knows.
    """

    producer: str
    reason: str


class RunFoundEvent(Event):
    """The broker's note: a run that was said to be lost is back.

    Attributes:
        producer: id of the producer that is back.
    """

    producer: str


class UnknownEvent(Event):
    """An event of a kind that this version does not know; it passes through unharmed.

    Attributes:
        name: the kind as it stands in the envelope.
        fields: the fields as they arrived.
    """

    name: str
    fields: dict[str, Any]


#: The kinds that a worker which starts in the middle of a run is given first.
CONTEXT_KINDS: Final = frozenset(
    {"StartExperiment", "UpdateExperiment", "ModelRegistration", "ActorRegistration"}
)


def event_classes() -> dict[str, type[Event]]:
    """Return every event class of this version by its kind."""
    return dict(Event._registry)
