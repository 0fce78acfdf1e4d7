"""What can go wrong in the training process, and its warnings."""

from __future__ import annotations


class ClientError(Exception):
    """Base class of this package's errors."""


# ---- experiments, runs, models and actors


class InvalidNameError(ClientError, ValueError):
    """A name of an experiment or a run cannot be used."""


class InvalidModeError(ClientError, ValueError):
    """There is no such mode of default trackers."""


class NestedScopeError(ClientError):
    """A run is started while another one is active."""


class NoActiveExperimentError(ClientError):
    """No run is active."""


class InactiveRunError(ClientError):
    """Something is reported to a run that is not active."""


class RunAlreadyRecordedError(ClientError):
    """A new run has the id of an earlier one."""


class RegistryError(ClientError):
    """The registry of runs cannot be read or written."""


class FirstRankError(ClientError):
    """Rank 0 of a distributed training failed at something that the others wait for."""


class ModuleAlreadyRegisteredError(ClientError):
    """A module is registered twice in one run, or two under one name of a checkpoint."""


class ModelNotRegisteredError(ClientError):
    """A model belongs to another run."""


class EpochsError(ClientError, ValueError):
    """The number of epochs is missing, given twice, or negative."""


class CheckpointError(ClientError):
    """A checkpoint cannot be saved or loaded."""


class ModelNotFoundError(CheckpointError):
    """A model has no checkpoint in this run."""


class EpochNotFoundError(CheckpointError):
    """A model has no checkpoint of this epoch."""


# ---- trackers


class TrackerAlreadyRegisteredError(ClientError):
    """A tracker of this name is subscribed already."""


class TrackerNotUsedError(ClientError):
    """No tracker of this name is subscribed."""


class UnknownTrackerError(ClientError):
    """A tracker's name or file leads nowhere.

    Attributes:
        tracker: the name as it was given.
    """

    def __init__(self, message: str, tracker: str) -> None:
        """Initialize.

        Args:
            message: what is wrong and what to do.
            tracker: the name as it was given.
        """
        self.tracker = tracker
        super().__init__(message)


class NotATrackerError(ClientError, TypeError):
    """An object that is no tracker is subscribed."""


class NotImportableError(ClientError):
    """A tracker's class can neither be imported by a worker nor be handed to it."""


class HandoverError(ClientError):
    """What a training process handed over cannot be rebuilt in its worker."""


class TrackerArgumentError(ClientError, TypeError):
    """An argument of a tracker cannot be handed to a worker."""


class HandoverVariableError(ClientError, ValueError):
    """The variable DRYTORCH_TRACKERS is not what `drytorch run` writes."""


class WorkerSpecError(ClientError):
    """A worker was given a description that it cannot read."""


# ---- reporting events


class OptionError(ClientError, ValueError):
    """An option of the client has a value that cannot be used."""


class BrokerUrlError(OptionError):
    """The URL of a broker is none."""


class QueueFullError(ClientError):
    """An event is refused because the queue is full, under `on_full='raise'`."""


class EventTooLargeError(ClientError, ValueError):
    """An event is larger than any broker takes.

    Attributes:
        kind: kind of the event.
        size: its size in bytes, encoded.
        limit: the largest size that is allowed, bytes.
    """

    def __init__(self, kind: str, size: int, limit: int) -> None:
        """Initialize.

        Args:
            kind: kind of the event.
            size: its size in bytes, encoded.
            limit: the largest size that is allowed, bytes.
        """
        self.kind = kind
        self.size = size
        self.limit = limit
        super().__init__(
            f"{kind} event of {size} bytes is larger than the {limit} bytes allowed: "
            f"report less in one event."
        )


class EventNotPlainError(ClientError, ValueError):
    """An event holds something that cannot travel, such as a set or text that is not Unicode."""


class BrokerAwayError(ClientError):
    """No broker answers in time.

    Attributes:
        exit_code: what a command leaves with that meets this.
    """

    exit_code = 69


class SpoolError(ClientError):
    """The spool cannot be written or read."""


# ---- warnings


class ClientWarning(UserWarning):
    """Base class of this package's warnings."""


class RunWarning(ClientWarning):
    """A run is used in a way that has no effect."""


class ResumeWarning(ClientWarning):
    """There is nothing to resume, so that a new run is made."""


class RanksWarning(ClientWarning):
    """The processes of a distributed training report runs that do not belong together."""


class TrainingWarning(ClientWarning):
    """A training is used in a way that has no effect."""


class CheckpointWarning(ClientWarning):
    """A part of a checkpoint was left out."""


class RegistryWarning(ClientWarning):
    """The registry of runs could not be kept as it should be."""


class ClosedSenderWarning(ClientWarning):
    """An event is reported after the end of reporting, and goes nowhere."""


class FailedOptionalImportWarning(ClientWarning):
    """The library of a default tracker is not installed, so that the tracker is left out."""
