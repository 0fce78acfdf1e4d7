"""What `drytorch verify` looks at: which runs, in which journal, with which artefacts."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drytorch_client.declarations import full_target
from drytorch_client.registry import FILE, FOLDER, RunRegistry
from drytorch_client.workers import owed
from drytorch_schemas.folders import journal_dir
from drytorch_schemas.journal_reader import segments
from drytorch_schemas.topics import TopicFilter
from drytorch_trackers import exit_codes
from drytorch_trackers.base import Tracker, TrackerContext
from drytorch_trackers.errors import WorkError
from drytorch_trackers.run_folder import claims_in

#: Which tracker writes which kind of artefact.
_KINDS: Final = {"csv_metrics": "csv", "metadata": "yaml"}
_UUID: Final = re.compile(r"[0-9a-f]{32}")
_Records = Iterable[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be verified.

    Attributes:
        wanted: tells by experiment, run id and UUID whether a run is.
        par_dir: where the artefacts are.
        journals: journal files and folders; empty where a broker is asked.
        broker: URL of the broker that is asked.
        expected: names of the runs that must be there, by UUID; none but where a folder of
            artefacts was named.
        writers: names of the trackers that wrote there or still have to, by the run's UUID.
    """

    wanted: Callable[[str, str, str], bool]
    par_dir: Path
    journals: Sequence[Path]
    broker: str | None
    expected: dict[str, str] = field(default_factory=dict)
    writers: dict[str, set[str]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the runs were looked for."""
        return self.broker or ", ".join(str(path) for path in self.journals)

    @property
    def source_arguments(self) -> list[str]:
        """The arguments by which `drytorch replay` reads the same."""
        if self.broker is not None:
            return ["--broker", self.broker]
        return [str(path) for path in self.journals]

    def concerned(self, against: Sequence[str] | None) -> Callable[[str, str], bool]:
        """Return what tells by a run's UUID and a tracker's name whether to look.

        Args:
            against: the trackers that were named: they are looked at in all runs.
        """
        if against or not self.expected:
            return lambda _run, _name: True
        return lambda run, name: name in self.writers.get(run, ())

    def unmet(self, met: set[str]) -> list[str]:
        """Return the names of the runs that must be there and are not.

        Args:
            met: UUIDs of those that are.
        """
        return [name for run, name in self.expected.items() if run not in met]


def choose(what: str, par_dir: Path | None, journals: Sequence[Path], broker: str | None) -> Chosen:
    """Return what a user's words mean.

    Args:
        what: a run, or a folder.
        par_dir: where the artefacts are, if that was said.
        journals: journal files and folders, if that was said.
        broker: URL of a broker, if that was said.

    Raises:
        WorkError: the words contradict one another, or lead nowhere.
    """
    if journals and broker is not None:
        raise WorkError("Give --journal, or --broker, and not both.", exit_codes.USAGE)
    folder = Path(what)
    if folder.is_dir() and segments(folder):
        if journals or broker is not None:
            raise WorkError(
                f"{what} is a journal: name a run beside --journal or --broker.", exit_codes.USAGE
            )
        return Chosen(TopicFilter().matches_run, par_dir or Path(), [folder], None)
    sources = list(journals) if journals or broker is not None else [_own_journal()]
    if folder.is_dir():
        return _of_folder(folder, par_dir or folder, sources, broker)
    return Chosen(_named(what).matches_run, par_dir or Path(), sources, broker)


def trackers_of(
    chosen: Chosen, against: Sequence[str] | None, options: Sequence[str]
) -> dict[str, Tracker]:
    """Return the trackers whose artefacts are to be looked at, set up.

    Args:
        chosen: what is to be verified.
        against: the trackers that were named.
        options: `[tracker.]option=value`.

    Raises:
        TrackersError: a tracker or an option is not there, or cannot tell what is missing.
    """
    from drytorch_trackers.cli.chosen import build

    built = build(against or _present(chosen), options)
    par_dir = chosen.par_dir.absolute()
    for name, tracker in built.items():
        if not tracker.keeps:
            raise WorkError(
                f"Tracker {name} cannot tell which events its artefacts hold: name another one "
                f"with --against.",
                exit_codes.USAGE,
            )
        if not par_dir.is_dir():
            raise WorkError(
                f"There is no folder {par_dir}: say with --par-dir where the artefacts are.",
                exit_codes.NO_INPUT,
            )
        tracker.setup(TrackerContext(par_dir))
    return built


@contextlib.contextmanager
def records_of(chosen: Chosen) -> Iterator[tuple[Callable[[], _Records], Callable[[], str]]]:
    """Open the journal for as long as the block lasts.

    Args:
        chosen: what is to be verified.

    Yields:
        What reads it from its start, and what then tells whether it is damaged.

    Raises:
        WorkError: it cannot be read.
    """
    if chosen.broker is not None:
        from drytorch_trackers.cli import broker

        with broker.channel_to(broker.endpoint_of(chosen.broker)) as channel:
            yield (lambda: broker.records_of(channel, TopicFilter())), (lambda: "")
        return
    from drytorch_trackers.journal_files import JournalFiles

    read: list[JournalFiles] = []

    def records() -> _Records:
        read.append(JournalFiles(chosen.journals))
        return read[-1]

    yield records, lambda: read[0].describe_damage() if read and read[0].damages else ""


def say(text: str) -> None:
    """Print a line for the user.

    Args:
        text: one sentence.
    """
    from drytorch_trackers.terminal import printable

    print(f"drytorch verify: {printable(text)}", file=sys.stderr)


def _named(what: str) -> TopicFilter:
    if _UUID.fullmatch(what):
        return TopicFilter(run=what)
    experiment, _, run_id = what.rpartition("/")
    return TopicFilter(experiment or "*", run_id)


def _own_journal() -> Path:
    folder = journal_dir()
    if not folder.is_dir() or not segments(folder):
        raise WorkError(
            "This host has no journal of yours yet: name one with --journal, or a broker with "
            "--broker.",
            exit_codes.NO_INPUT,
        )
    return folder


def _of_folder(folder: Path, par_dir: Path, sources: Sequence[Path], broker: str | None) -> Chosen:
    """Return the runs that were recorded in a folder, or written to it."""
    claims = list(claims_in(par_dir))
    expected = {each.run: f"{each.experiment}/{each.run_id}" for each in claims}
    expected |= _registered(folder)
    if not expected:
        raise WorkError(
            f"{folder} is neither a journal nor a folder that runs were written to: name a run, "
            f"or the --par-dir of an experiment.",
            exit_codes.NO_INPUT,
        )
    writers = _still_writing()
    for each in claims:
        writers.setdefault(each.run, set()).add(_KINDS.get(each.kind, ""))
    return Chosen(
        lambda _experiment, _run_id, run: run in expected,
        par_dir,
        sources,
        broker,
        expected,
        writers=writers,
    )


def _registered(par_dir: Path) -> dict[str, str]:
    """Return the runs that were recorded in a folder: names by UUID."""
    found: dict[str, str] = {}
    for file in sorted((par_dir / FOLDER).glob(f"*/{FILE}")):
        registry = RunRegistry(par_dir, file.parent.name)
        for run_id in registry.ids():
            uuid = registry.known_uuid(run_id)
            if uuid is not None:
                found[uuid] = f"{file.parent.name}/{run_id}"
    return found


def _still_writing() -> dict[str, set[str]]:
    """Return the trackers that this host's workers still have to feed, by the run's UUID."""
    targets = {full_target(name): name for name in _KINDS.values()}
    found: dict[str, set[str]] = {}
    for each in owed.pending(at_work=True):
        run = each.spec.filter.run
        names = {targets.get(full_target(one.target), "") for one in each.spec.declarations}
        if run is not None:
            found.setdefault(run, set()).update(names)
    return found


def _present(chosen: Chosen) -> list[str]:
    """Return the trackers that wrote into a folder that was named, where none was named.

    They are known by their claims: DRYTorch's own trackers write the same files, without any.
    """
    runs = chosen.writers.keys() & chosen.expected.keys()
    return sorted({name for run in runs for name in chosen.writers[run]} - {""})
