"""Levels, formatters and the filter of the `drytorch` logger."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, TextIO

from drytorch_trackers.terminal import StreamName, stream_of

#: Name of the logger that the console's lines go through.
LOGGER_NAME: Final = "drytorch"


@dataclass(frozen=True)
class InfoLevels:
    """Levels of the console's lines.

    Attributes:
        internal: registrations, and ends of epochs and tests.
        metrics: values of metrics.
        epoch: starts of epochs.
        model_state: learning rates and checkpoints.
        experiment: starts and stops of runs.
        training: starts and ends of trainings.
        test: starts of tests.
    """

    internal: int = 19
    metrics: int = 21
    epoch: int = 23
    model_state: int = 25
    experiment: int = 27
    training: int = 28
    test: int = 29


INFO_LEVELS: Final = InfoLevels()
_NAME_WIDTH: Final = 10


def name_levels() -> None:
    """Give the levels their names, centred, for formatters that show them."""
    for name, level in vars(INFO_LEVELS).items():
        logging.addLevelName(level, name.center(_NAME_WIDTH))


class DryTorchFilter(logging.Filter):
    """Keeps what the `drytorch` logger has printed itself from a handler of the root logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record comes from somewhere else."""
        return LOGGER_NAME not in record.name


class DryTorchFormatter(logging.Formatter):
    """Shows the time from level `experiment` on; each line replaces what a bar left on its line."""

    default_msec_format = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole line, its end included."""
        message = super().format(record)
        if record.levelno >= INFO_LEVELS.experiment:
            return f"\r[{self.formatTime(record)}] - {message}\n"
        return f"\r{message}\n"


class ProgressFormatter(DryTorchFormatter):
    """Lets epochs and model states be overwritten by what follows."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; it stays open for a level that is overwritten."""
        if record.levelno == INFO_LEVELS.epoch:
            return f"{logging.Formatter.format(self, record)} ...\r"
        if record.levelno == INFO_LEVELS.model_state:
            return f"{logging.Formatter.format(self, record)}\r"
        return super().format(record)


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to a standard stream as it is at the time, or to a stream that it was given."""

    terminator = ""

    def __init__(self, stream: StreamName | TextIO) -> None:
        """Initialize.

        Args:
            stream: name of a standard stream, or an open text stream.
        """
        self._given = stream
        super().__init__()

    @property
    def stream(self) -> TextIO:
        """The stream to write to."""
        return stream_of(self._given) if isinstance(self._given, str) else self._given

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Ignore what the base class sets: the stream is looked up at each line."""
