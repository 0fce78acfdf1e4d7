"""`drytorch replay`: past events into any tracker."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters
from drytorch_trackers.wording import plural

if TYPE_CHECKING:
    from drytorch_schemas.topics import TopicFilter
    from drytorch_trackers.base import Tracker
    from drytorch_trackers.journal_files import JournalFiles
    from drytorch_trackers.replay import ReplayOptions

SETTINGS: Final[Mapping[str, Any]] = {"name": "replay"}
EPILOG: Final = """\b
Examples:
  drytorch replay journal.msgpack --to csv --par-dir copies
  drytorch replay ~/.local/state/drytorch/HOST/journal --list
  cat *.msgpack | drytorch replay - --to console --run '2026-*' --speed 10
  drytorch replay --broker tcp://127.0.0.1:7750 --to csv
"""
_STEP: Final = 256

Record = tuple[int, bytes]


class Speed(StrEnum):
    """How fast events follow each other."""

    MAX = "max"
    ORIGINAL = "1"
    TENFOLD = "10"

    @property
    def factor(self) -> float:
        """Times the original pace; 0 for as fast as possible."""
        return 0.0 if self is Speed.MAX else float(self.value)


def command(  # noqa: PLR0913, PLR0917  # each is an option of the command
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="JOURNAL", help="Segments, a journal's folder, or -."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="TRACKER", help="Where events go; may be repeated."),
    ] = None,
    experiment: parameters.Experiment = "*",
    run: parameters.Run = "*",
    par_dir: parameters.ParDir = Path(),
    speed: Annotated[
        Speed, typer.Option("--speed", help="As fast as possible, or so many times as live.")
    ] = Speed.MAX,
    option: parameters.Options = None,
    broker: parameters.Broker = None,
    listing: Annotated[bool, typer.Option("--list", help="Only list the runs.")] = False,
) -> int:
    """Feed trackers from a journal.

    Replaying twice adds nothing; the same command completes a replay that was interrupted.
    """
    from drytorch_schemas.topics import TopicFilter
    from drytorch_trackers.cli.chosen import build, places, writable
    from drytorch_trackers.errors import WorkError
    from drytorch_trackers.journal_files import JournalFiles
    from drytorch_trackers.replay import ReplayOptions

    if bool(paths) == (broker is not None):
        raise WorkError("Give journal files, or --broker URL, and not both.", exit_codes.USAGE)
    if bool(to) == listing:
        raise WorkError("Give --to TRACKER, or --list, and not both.", exit_codes.USAGE)
    trackers = build(to or [], option or [])
    where = places(to or [], option or [], par_dir)
    wanted = TopicFilter(experiment, run)
    if broker is not None:
        with _of_broker(broker, wanted) as (records, size):
            if listing:
                return _list(records, wanted)
            options = ReplayOptions(writable(par_dir), wanted, speed.factor, sys.stderr.isatty())
            return _feed(_counted(records, size, trackers), trackers, options, where)
    files = JournalFiles(paths or [])
    if listing:
        code = _list(files, wanted)
    else:
        options = ReplayOptions(writable(par_dir), wanted, speed.factor, sys.stderr.isatty())
        code = _feed(_measured(files, trackers), trackers, options, where)
    return _report_damage(files, code)


@contextlib.contextmanager
def _of_broker(url: str, wanted: TopicFilter) -> Iterator[tuple[Iterable[Record], int]]:
    from drytorch_trackers.cli import broker

    with broker.channel_to(broker.endpoint_of(url)) as channel:
        head = broker.head_of(channel)
        yield broker.records_of(channel, wanted), head


def _feed(
    records: Iterable[Record], trackers: Mapping[str, Tracker], options: ReplayOptions, where: str
) -> int:
    from drytorch_schemas.topics import TopicFilter
    from drytorch_trackers.cli.leaving import on_signals
    from drytorch_trackers.hosted import Pace
    from drytorch_trackers.replay import replay

    with on_signals() as leaving:
        pace = Pace(lambda seconds: _wait(leaving, seconds), leaving.is_set)
        done = replay(records, trackers, options, pace=pace, warn=_say)
    if done.interrupted:
        _say("Interrupted: the same command completes it.")
        return exit_codes.INTERRUPTED
    if not done.runs and options.wanted != TopicFilter():
        _say("No run matches --experiment and --run: --list shows which there are.")
        return exit_codes.NO_INPUT
    print(f"{plural(done.events, 'event')} of {plural(done.runs, 'run')} went to {where}.")
    return exit_codes.DEAD_LETTERS if done.failures else exit_codes.OK


def _wait(leaving: threading.Event, seconds: float) -> None:
    leaving.wait(seconds)


def _list(records: Iterable[Record], wanted: TopicFilter) -> int:
    from drytorch_trackers.cli.runs import as_table
    from drytorch_trackers.run_list import rows_of

    print(as_table([row.plain() for row in rows_of(records, wanted)]))
    return exit_codes.OK


def _report_damage(files: JournalFiles, code: int) -> int:
    if not files.damages or code == exit_codes.INTERRUPTED:
        return code
    _say(files.describe_damage())
    return code or exit_codes.DATA


def _measured(files: JournalFiles, trackers: Mapping[str, Tracker]) -> Iterator[Record]:
    """Show a bar of bytes while files are read."""
    return _with_bar(files, files.size, lambda _offset: files.done, trackers)


def _counted(
    records: Iterable[Record], head: int, trackers: Mapping[str, Tracker]
) -> Iterator[Record]:
    """Show a bar of offsets while a broker is read."""
    return _with_bar(records, head, lambda offset: offset, trackers)


def _with_bar(
    records: Iterable[Record],
    size: int,
    position: Callable[[int], int],
    trackers: Mapping[str, Tracker],
) -> Iterator[Record]:
    """Show a progress bar on a terminal, unless a tracker writes there itself."""
    if not sys.stderr.isatty() or not size or {"console", "progress"} & set(trackers):
        yield from records
        return
    shown = 0
    with typer.progressbar(length=size, label="replay", file=sys.stderr) as bar:
        for number, (offset, payload) in enumerate(records):
            if number % _STEP == 0:
                bar.update(position(offset) - shown)
                shown = position(offset)
            yield offset, payload
        bar.update(size - shown)


def _say(text: str) -> None:
    from drytorch_trackers.terminal import printable

    print(f"drytorch replay: {printable(text)}", file=sys.stderr)
