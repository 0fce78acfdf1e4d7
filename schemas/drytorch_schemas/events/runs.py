"""Events about a run and what belongs to it."""

from __future__ import annotations

import datetime
import pathlib
from typing import Any, Literal

from pydantic import Field

from drytorch_schemas.events.base import Event, Name

Status = Literal["completed", "failed", "running", "created"]


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
