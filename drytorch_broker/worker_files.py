"""What the broker keeps of workers on disk: one file for the cursor, one for dead letters."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgpack

from drytorch_broker import atomic_file
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack

_log: Final = logging.getLogger(__name__)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_CURSOR: Final = ".cursor"
_DEAD: Final = ".dead"
_MAX_CURSOR_BYTES: Final = 1 << 20
#: Dead letters beyond this size of their file are counted, not kept.
MAX_DEAD_BYTES: Final = 32 << 20
_MAX_LETTER_BYTES: Final = 1 << 20


class WorkerFiles:
    """The folder `workers/` of a journal."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing.

        Args:
            folder: the folder.

        Raises:
            OSError: it cannot be made.
        """
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def _stem(self, name: str) -> str:
        """Return a file name for a worker's name: readable, and no two names share one."""
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
        return f"{_UNSAFE.sub('_', name)[:64]}-{digest}"

    def save(self, name: str, fields: dict[str, Any]) -> None:
        """Write a worker's cursor file in one step.

        Args:
            name: the worker's name.
            fields: plain data.

        Raises:
            OSError: the file is as it was.
        """
        atomic_file.write(self._folder / f"{self._stem(name)}{_CURSOR}", pack(fields))

    def remove(self, name: str) -> None:
        """Remove a worker's files.

        Args:
            name: the worker's name.

        Raises:
            OSError: they may still be there.
        """
        for suffix in (_CURSOR, _DEAD):
            (self._folder / f"{self._stem(name)}{suffix}").unlink(missing_ok=True)

    def load(self) -> Iterator[dict[str, Any]]:
        """Yield what the cursor files say; a damaged one is reported and moved away."""
        for path in sorted(self._folder.glob(f"*{_CURSOR}")):
            try:
                fields = unpack(path.read_bytes(), _MAX_CURSOR_BYTES)
            except (OSError, DecodingError) as error:
                self.set_aside(path.name, str(error))
                continue
            if isinstance(fields, dict):
                yield fields
            else:
                self.set_aside(path.name, "not a map")

    def set_aside(self, file_name: str, reason: str) -> None:
        """Move a damaged cursor file away: its worker starts again from the start.

        Args:
            file_name: name of the file in the folder.
            reason: what is wrong with it.
        """
        path = self._folder / file_name
        _log.error("cursor file %s is damaged (%s): its worker starts again", path, reason)
        try:
            path.replace(path.with_suffix(".damaged"))
        except OSError as error:
            _log.error("%s: %s", path, error.strerror)  # the sentence is enough

    def file_name(self, name: str) -> str:
        """Return the name of a worker's cursor file."""
        return f"{self._stem(name)}{_CURSOR}"

    def add_dead(self, name: str, letter: dict[str, Any]) -> None:
        """Append a dead letter, unless the file has reached its limit.

        Args:
            name: the worker's name.
            letter: plain data.

        Raises:
            OSError: it was not written.
        """
        path = self._folder / f"{self._stem(name)}{_DEAD}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            if os.fstat(descriptor).st_size < MAX_DEAD_BYTES:
                os.write(descriptor, pack(letter | {"time": time.time_ns()}))
        finally:
            os.close(descriptor)

    def dead(self, name: str) -> list[dict[str, Any]]:
        """Return a worker's dead letters as far as they can be read.

        Args:
            name: the worker's name.
        """
        letters = []
        try:
            with (self._folder / f"{self._stem(name)}{_DEAD}").open("rb") as file:
                unpacker = msgpack.Unpacker(file, raw=False, max_buffer_size=_MAX_LETTER_BYTES)
                letters += [letter for letter in unpacker if isinstance(letter, dict)]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, msgpack.UnpackException) as error:
            _log.warning("dead letters of %r can be read in part only: %s", name, error)
        return letters
