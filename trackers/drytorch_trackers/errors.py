"""What can be wrong with trackers, their names, options and folders."""

from __future__ import annotations

import os
from typing import ClassVar


class TrackersError(Exception):
    """Base class of this package's errors.

    Attributes:
        exit_code: the code that a command leaves with when this error ends it.
    """

    exit_code: ClassVar[int] = os.EX_SOFTWARE


class TrackerError(TrackersError):
    """A tracker cannot do what it was asked to."""


class TrackerNotUsedError(TrackersError):
    """No object of a tracker class is subscribed in the current run."""


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


class UnsafeNameError(TrackersError):
    """A name cannot become the name of a file or folder."""


class FolderTakenError(TrackersError):
    """Another worker of the same kind writes to the run's folder."""

    exit_code = os.EX_TEMPFAIL


class ClaimError(TrackersError):
    """The side files that say whose a run's folder is cannot be used."""

    exit_code = os.EX_IOERR
