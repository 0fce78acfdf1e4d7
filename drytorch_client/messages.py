"""The two lines that a run says of itself, and how to silence them.

They go to the logger `drytorch_client.messages`, which prints to stderr: `logging.getLogger(
"drytorch_client").setLevel("WARNING")` silences them.
"""

from __future__ import annotations

import logging
import pathlib
import sys
from collections.abc import Sequence
from typing import Final, TextIO

_PREFIX: Final = "drytorch: "


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Prints to whatever `sys.stderr` is at the moment, so that tests and notebooks see it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(f"{_PREFIX}%(message)s"))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # StreamHandler has a plain attribute
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Say nothing: a closed stderr must not disturb a training."""


def _made() -> logging.Logger:
    parent = logging.getLogger("drytorch_client")
    if parent.level == logging.NOTSET:
        parent.setLevel(logging.INFO)
    logger = logging.getLogger(__name__)
    logger.addHandler(_StderrHandler())
    logger.propagate = False
    return logger


_LOGGER: Final = _made()


def say_start(
    experiment: str, run_id: str, par_dir: pathlib.Path, trackers: Sequence[str], broker: str
) -> None:
    """Say where the results of a run go.

    Args:
        experiment: name of the experiment.
        run_id: identifier of the run.
        par_dir: folder that the trackers write under.
        trackers: names of the trackers.
        broker: URL of the broker.
    """
    _LOGGER.info(
        "run %s of %s reports to %s; %s under %s",
        run_id,
        experiment,
        broker,
        f"{', '.join(trackers)} write" if trackers else "no tracker writes",
        par_dir,
    )


def say_end(
    experiment: str, run_id: str, status: str, par_dir: pathlib.Path, rest: Sequence[str]
) -> None:
    """Say how a run ended, where its results are, and what is still to be done.

    Args:
        experiment: name of the experiment.
        run_id: identifier of the run.
        status: how it ended.
        par_dir: folder that the trackers write under.
        rest: what is still to be done, in words; empty when all is.
    """
    _LOGGER.info(
        "run %s of %s %s; results under %s%s",
        run_id,
        experiment,
        status,
        par_dir,
        f"; {', '.join(rest)}: this goes on by itself, or with `drytorch sync`" if rest else "",
    )
