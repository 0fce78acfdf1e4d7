"""Records from journal files: segments, folders, or a stream, of one journal or several."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from drytorch_schemas import journal_reader
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import LOCK_FILE
from drytorch_schemas.journal_reader import Damage
from drytorch_schemas.locks import FileLock
from drytorch_schemas.records import ENVELOPE
from drytorch_trackers import exit_codes
from drytorch_trackers.errors import WorkError

STDIN: Final = Path("-")
_MOST_DAMAGES: Final = 100

_Source = Path | list[Path] | BinaryIO


class JournalFiles:
    """Gives every readable envelope once, in each journal's order, and keeps what is damaged.

    Attributes:
        damages: what could not be read, the first hundred.
        damage_count: all of them.
        size: bytes of all files, 0 where that is not known.
        done: bytes that were read so far.
    """

    def __init__(self, paths: Sequence[Path], stdin: BinaryIO | None = None) -> None:
        """Look at the files.

        Args:
            paths: segments, journal folders, or `-` alone for standard input.
            stdin: what `-` stands for, by default this process's standard input.

        Raises:
            WorkError: a file is not there, cannot be read, or is no journal.
        """
        self.damages: list[Damage] = []
        self.damage_count = 0
        self.done = 0
        self._stdin = stdin
        if STDIN in paths and len(paths) > 1:
            raise WorkError("Standard input (-) cannot be joined with files.", exit_codes.USAGE)
        self._journals = [] if paths == [STDIN] else _journals(paths)
        self.size = sum(_size(each) for each in self._journals)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield offsets and encoded envelopes.

        Raises:
            WorkError: the data are no journal, or reading failed.
        """
        try:
            for source in self._journals:
                yield from self._read(source)
            if not self._journals:
                yield from self._read(self._stdin or sys.stdin.buffer)
        except SchemaError as error:
            raise WorkError(str(error), exit_codes.DATA) from error
        except OSError as error:
            raise _unreadable(error) from error

    def _read(self, source: _Source) -> Iterator[tuple[int, bytes]]:
        for item in journal_reader.read(source):
            if isinstance(item, Damage):
                self._damaged(item, source)
            else:
                self.done += item.size
                if item.kind == ENVELOPE:
                    yield item.offset, item.payload

    def describe_damage(self) -> str:
        """Return one sentence about what is damaged."""
        first = self.damages[0]
        name = first.source or "Standard input"
        lost = ""
        if first.first_offset is not None and first.last_offset is not None:
            lost = f", offsets {first.first_offset} to {first.last_offset} are lost"
        more = f" (and {self.damage_count - 1} more)" if self.damage_count > 1 else ""
        return (
            f"{name} is damaged at byte {first.position}: {first.reason}, {first.size} bytes{lost}"
            f"{more}; all that can be read was read."
        )

    def _damaged(self, damage: Damage, source: _Source) -> None:
        if damage.torn and _is_being_written(source):
            return
        self.damage_count += 1
        if len(self.damages) < _MOST_DAMAGES:
            self.damages.append(damage)


def _journals(paths: Sequence[Path]) -> list[Path | list[Path]]:
    """Return folders as they are, and files together with those of the same journal."""
    found: list[Path | list[Path]] = []
    groups: dict[str, list[Path]] = {}
    for path in dict.fromkeys(paths):
        try:
            if path.is_dir():
                found.append(_checked(path))
                continue
            journal = journal_reader.read_header(path).journal
        except SchemaError as error:
            raise WorkError(str(error), exit_codes.DATA) from error
        except OSError as error:
            raise _unreadable(error) from error
        if journal not in groups:
            groups[journal] = []
            found.append(groups[journal])
        groups[journal].append(path)
    return found


def _checked(folder: Path) -> Path:
    if not journal_reader.segments(folder):
        raise WorkError(
            f"The folder {folder} holds no segment of a journal: name a journal's folder.",
            exit_codes.NO_INPUT,
        )
    return folder


def _size(journal: Path | list[Path]) -> int:
    paths = journal if isinstance(journal, list) else journal_reader.segments(journal)
    return sum(path.stat().st_size for path in paths)


def _is_being_written(source: _Source) -> bool:
    if isinstance(source, list):
        folder = source[-1].parent
    elif isinstance(source, Path):
        folder = source
    else:
        return False
    try:
        return FileLock.held_by_other(folder / LOCK_FILE)
    except (OSError, SchemaError):
        return False


def _unreadable(error: OSError) -> WorkError:
    if isinstance(error, FileNotFoundError):
        return WorkError(
            f"There is no file {error.filename}: name a journal's .msgpack file or its folder.",
            exit_codes.NO_INPUT,
        )
    code = exit_codes.PERMISSION if isinstance(error, PermissionError) else exit_codes.IO
    return WorkError(f"{error.filename or 'The input'} cannot be read: {error.strerror}.", code)
