"""The lines that this package says of itself, and how to silence them.

They go to the logger `drytorch_client.messages`, which prints to stderr: `logging.getLogger(
"drytorch_client").setLevel("WARNING")` silences them.
"""

from __future__ import annotations

import logging
import os
import pathlib
import re
import select
import sys
from collections.abc import Sequence
from typing import ClassVar, Final, TextIO

_PREFIX: Final = "drytorch: "
_PATIENCE: Final = 0.2  # seconds that a line waits for a stream that takes nothing
#: Control characters, lone surrogates, and marks that reorder the text around them.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Formatter(logging.Formatter):
    """Spells control characters out: a name must not steer the terminal that it is printed on."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Prints to whatever `sys.stderr` is at the moment, so that tests and notebooks see it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(_Formatter(f"{_PREFIX}%(message)s"))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # StreamHandler has a plain attribute
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line, unless that would hold up the training: a stopped terminal, a full pipe."""
        stream = self.stream
        if not _takes_more(stream):
            return
        if stream is not None and stream is sys.__stderr__:
            self._print(stream, record)
        else:
            super().emit(record)

    def _print(self, stream: TextIO, record: logging.LogRecord) -> None:
        """Print past the buffer: what a full or closed stderr refuses must not stay in there.

        The interpreter would try again at its end, and leave with 120 when that fails.
        """
        try:
            stream.flush()
            os.write(stream.fileno(), f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except (OSError, ValueError):
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Say nothing: a closed stderr must not disturb a training."""


def _takes_more(stream: TextIO | None) -> bool:
    """Tell whether a stream would take a line now."""
    try:
        descriptor = stream.fileno()  # type: ignore[union-attr]  # None, where stderr is closed
    except Exception:  # noqa: BLE001 - a notebook's or a test's stream may have none, or raise
        return True
    try:
        return bool(select.select([], [descriptor], [], _PATIENCE)[1])
    except (OSError, ValueError):  # closed, or a number that `select` cannot take
        return True


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
        f"{', '.join(trackers) or 'no tracker'} write{'' if len(trackers) > 1 else 's'}",
        par_dir,
    )


def say_end(
    experiment: str,
    run_id: str,
    status: str,
    par_dir: pathlib.Path,
    *,
    waiting: int = 0,
    at_work: Sequence[str] = (),
    gave_up: Sequence[str] = (),
) -> None:
    """Say how a run ended, where its results are, and what is still to be done.

    Args:
        experiment: name of the experiment.
        run_id: identifier of the run.
        status: how it ended.
        par_dir: folder that the trackers write under.
        waiting: events that no broker has acknowledged yet.
        at_work: names of trackers that have not finished.
        gave_up: names of trackers that left without having handled everything.
    """
    rest = []
    if waiting:
        rest.append(f"{waiting} events wait for a broker")
    if at_work:
        rest.append(f"{', '.join(at_work)} not finished")
    more = f"; {', '.join(rest)}: this goes on by itself, or run `drytorch sync`" if rest else ""
    if gave_up:
        names = ", ".join(gave_up)
        more += f"; {names} had errors: see `drytorch workers` and `drytorch doctor`"
    _LOGGER.info("run %s of %s %s; results under %s%s", run_id, experiment, status, par_dir, more)


def say_left(count: int, broker: str, spool: str) -> None:
    """Say, at the end of the process, what no broker has acknowledged.

    Args:
        count: events.
        broker: URL of the broker.
        spool: folder of the spool; empty where there is none.
    """
    place = f"in {spool} " if spool else ""
    _LOGGER.info("%d events wait %sfor the broker at %s: run `drytorch sync`", count, place, broker)


def say_lost(count: int, broker: str, spool: str) -> None:
    """Say, at the end of the process, what is lost.

    Args:
        count: events that neither the broker nor the disk has taken.
        broker: URL of the broker.
        spool: folder of the spool, which could not be written.
    """
    _LOGGER.warning(
        "warning: %d events are lost, since the broker at %s was away and %s could not be written: "
        "make room there",
        count,
        broker,
        spool,
    )


class _Said:
    """What the user knows already."""

    warnings: ClassVar[set[str]] = set()


def warn(text: str) -> None:
    """Say what a user should know, at most once in a process.

    Args:
        text: one sentence.
    """
    if text not in _Said.warnings:
        _Said.warnings.add(text)
        _LOGGER.warning("warning: %s", text)
