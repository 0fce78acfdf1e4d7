"""Events about trainings, epochs and tests."""

from __future__ import annotations

from drytorch_schemas.events.base import Event, Int, Name


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
    start_epoch: Int
    end_epoch: Int


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
    epoch: Int
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
    epoch: Int
    end_epoch: Int | None = None


class EndEpochEvent(Event):
    """An epoch ended.

    Attributes:
        source_name: name of the trainer.
        model_name: name of the model.
        epoch: number of the epoch, from 1.
    """

    source_name: Name
    model_name: Name
    epoch: Int


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
