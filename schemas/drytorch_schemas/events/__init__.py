"""One pydantic model per kind of event: DRYTorch's sixteen, and this project's additions.

Names and fields are DRYTorch's. An event is data: creating one does nothing. Models are strict, so
that a wrong type is a `pydantic.ValidationError` in the caller's own line; what arrives over the
wire is read by `Event.from_wire`, which keeps unknown fields and unknown kinds.
"""

from __future__ import annotations

from typing import Final

from drytorch_schemas.events.additions import (
    CustomEvent,
    LossEvent,
    RunFoundEvent,
    RunLostEvent,
)
from drytorch_schemas.events.base import Event, Int, Name, UnknownEvent, event_classes
from drytorch_schemas.events.checkpoints import LoadModelEvent, SaveModelEvent
from drytorch_schemas.events.metric_values import Metrics, Number, plain_number
from drytorch_schemas.events.passes import (
    BatchProgressEvent,
    IterateBatchEvent,
    LearningRateEvent,
    MetricEvent,
)
from drytorch_schemas.events.runs import (
    ActorRegistrationEvent,
    ModelRegistrationEvent,
    StartExperimentEvent,
    Status,
    StopExperimentEvent,
    UpdateExperimentEvent,
)
from drytorch_schemas.events.training import (
    EndEpochEvent,
    EndTestEvent,
    EndTrainingEvent,
    StartEpochEvent,
    StartTestEvent,
    StartTrainingEvent,
    TerminatedTrainingEvent,
)

#: The kinds that a worker which starts in the middle of a run is given first.
CONTEXT_KINDS: Final = frozenset(
    {"StartExperiment", "UpdateExperiment", "ModelRegistration", "ActorRegistration"}
)

__all__ = [  # noqa: RUF022  # in the order of a run
    # the base, and how events are read
    "Event",
    "UnknownEvent",
    "event_classes",
    "CONTEXT_KINDS",
    # types of fields
    "Int",
    "Metrics",
    "Name",
    "Number",
    "Status",
    "plain_number",
    # a run and what belongs to it
    "StartExperimentEvent",
    "StopExperimentEvent",
    "UpdateExperimentEvent",
    "ModelRegistrationEvent",
    "ActorRegistrationEvent",
    # trainings, epochs, tests
    "StartTrainingEvent",
    "EndTrainingEvent",
    "TerminatedTrainingEvent",
    "StartEpochEvent",
    "EndEpochEvent",
    "StartTestEvent",
    "EndTestEvent",
    # passes and what they measured
    "IterateBatchEvent",
    "BatchProgressEvent",
    "MetricEvent",
    "LearningRateEvent",
    # checkpoints
    "SaveModelEvent",
    "LoadModelEvent",
    # additions
    "CustomEvent",
    "LossEvent",
    "RunLostEvent",
    "RunFoundEvent",
]
