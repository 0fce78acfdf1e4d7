"""What can be wrong with trackers, their names, options and folders."""

from __future__ import annotations

import os


class TrackersError(Exception):
    """Base class of this package's errors.

    Attributes:
        exit_code: the code that a command leaves with when this error ends it.
    """

    exit_code: int = os.EX_SOFTWARE


class TrackerError(TrackersError):
    """A tracker cannot do what it was asked to."""


class UnknownTrackerError(TrackersError):
    """A tracker's name or path leads nowhere."""

    exit_code = os.EX_USAGE


class TrackerFileError(UnknownTrackerError):
    """The Python file that a tracker was named by is not there."""

    exit_code = os.EX_NOINPUT


class NotATrackerError(TrackersError):
    """What a name leads to is no tracker class, or one that cannot work."""

    exit_code = os.EX_USAGE


class MissingExtraError(TrackersError):
    """A tracker needs a library that is not installed."""

    exit_code = os.EX_UNAVAILABLE


class OptionError(TrackersError):
    """An option is unknown to a tracker, or its value is not of the option's type."""

    exit_code = os.EX_USAGE


class BusError(TrackersError, LookupError):
    """A bus in memory is asked for something that is not there, or used in a way that cannot be."""


class UnsafeNameError(TrackersError):
    """A name cannot become the name of a file or folder."""


class FolderTakenError(TrackersError):
    """Another worker of the same kind writes to the run's folder."""

    exit_code = os.EX_TEMPFAIL


class ClaimError(TrackersError):
    """The side files that say whose a run's folder is cannot be used."""

    exit_code = os.EX_IOERR


class WorkError(TrackersError):
    """A worker or a command cannot go on.

    Attributes:
        exit_code: the code that the process leaves with.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        """Initialize.

        Args:
            message: what is wrong, where, and what to do, in one sentence.
            exit_code: the code that the process leaves with.
        """
        super().__init__(message)
        self.exit_code = exit_code


class SourceAwayError(TrackersError):
    """The source of events does not answer at the moment."""

    exit_code = os.EX_UNAVAILABLE


class BackendAwayError(TrackersError):
    """What a tracker writes to does not answer at the moment; nothing of the event was written."""

    exit_code = os.EX_UNAVAILABLE


class InterruptedWorkError(TrackersError):
    """The worker is asked to leave before an event is handled; it stays for the next one."""

    exit_code = os.EX_OK


class BrokenTrackerError(TrackersError):
    """The module of a tracker raises when it is loaded."""

    exit_code = os.EX_USAGE


# ---- warnings


class BridgeWarning(UserWarning):
    """An event of DRYTorch's cannot be forwarded; the training goes on."""
