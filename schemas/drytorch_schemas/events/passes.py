"""Events about passes over a loader and what they measured."""

from __future__ import annotations

from pydantic import Field

from drytorch_schemas.events.base import Event, Int, Name
from drytorch_schemas.events.metric_values import Metrics, Number


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
    batch_size: Int | None
    n_iter: Int | None
    dataset_size: Int | None
    pass_id: Int = 0


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
    pass_id: Int
    batches: Int
    samples: Int | None = None
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
    epoch: Int
    metrics: Metrics
    step: Int | None = None


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
    epoch: Int
    base_lr: dict[str, Number] | Number | None = None
    scheduler_name: str | None = None
