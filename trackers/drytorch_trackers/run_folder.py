"""The folder of a run: whose it is, and who writes to it.

Two runs may come with equal names. The first to write claims the folder for its UUID, the next one
gets the suffix `_1`. Claims and locks are side files:

    <par_dir>/<kind>/<experiment>/<day>/<time>/                       what users see
    <par_dir>/.drytorch/<experiment>/<kind>/folders/<day>/<time>/     claim.json, writer.lock
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from drytorch_schemas.envelope import Origin
from drytorch_schemas.locks import FileLock
from drytorch_trackers import durable
from drytorch_trackers.errors import ClaimError, FolderTakenError
from drytorch_trackers.file_names import escape, run_parts

_NOTES: Final = ".drytorch"
_CLAIM: Final = "claim.json"
_CLAIM_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run's files are.

    Attributes:
        path: the folder that users see.
        side: the folder of the side files.
        found: whether the folder held files when it was claimed: somebody else's.
    """

    path: Path
    side: Path
    found: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """That a tracker writes, or wrote, to a folder for a run.

    Attributes:
        kind: name of the folder for this kind of artefact, for example `csv_metrics`.
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
    """

    kind: str
    experiment: str
    run_id: str
    run: str


def claims_in(par_dir: Path) -> Iterator[Claim]:
    """Yield who wrote under a parent folder; unreadable claims are left out.

    Args:
        par_dir: the parent folder.
    """
    for folders in sorted((par_dir / _NOTES).glob("*/*/folders")):
        for file in sorted(folders.rglob(_CLAIM)):
            try:
                fields = json.loads(file.read_bytes())
                names = [str(fields[each]) for each in ("experiment", "run_id", "run")]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            yield Claim(folders.parent.name, *names)


class RunFolders:
    """The folders that one tracker writes to, by run.

    Attributes:
        par_dir: the parent folder of all.
        kind: name of the folder for this kind of artefact, for example `csv_metrics`.
    """

    def __init__(self, par_dir: Path, kind: str) -> None:
        self.par_dir = par_dir
        self.kind = kind
        self._taken: dict[str, tuple[RunFolder, FileLock]] = {}

    def make(self) -> None:
        """Make the parent folder and that of the side files.

        Raises:
            OSError: they cannot be made.
        """
        self.par_dir.mkdir(parents=True, exist_ok=True)
        (self.par_dir / ".drytorch").mkdir(exist_ok=True)

    def take(self, origin: Origin) -> RunFolder:
        """Return a run's folder, claimed for it and locked for this process.

        Args:
            origin: where the run's events come from.

        Raises:
            FolderTakenError: another process writes to it.
            ClaimError: claims cannot be read or written.
            UnsafeNameError: a name cannot name a folder.
        """
        if origin.run in self._taken:
            return self._taken[origin.run][0]
        folder = self._claim(origin)
        # before the lock: a failure must not leave it held, in the way of the next attempt
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.side / "writer.lock")
        if not lock.acquire():
            raise FolderTakenError(
                f"Folder {folder.path} is written by another worker: wait for it, or choose "
                f"another folder with --par-dir."
            )
        self._taken[origin.run] = folder, lock
        return folder

    def find(self, experiment: str, run_id: str, run: str) -> RunFolder | None:
        """Return a run's folder where there is one, without claiming it.

        Args:
            experiment: name of the experiment.
            run_id: identifier of the run.
            run: UUID of the run.
        """
        for folder in self._candidates(experiment, run_id):
            claim = _read_claim(folder)
            if claim is None:
                return None
            if claim["run"] == run:
                return replace(folder, found=bool(claim.get("found")))
        return None

    def release(self, run: str) -> None:
        """Let others write to a run's folder.

        Args:
            run: UUID of the run.
        """
        if run in self._taken:
            self._taken.pop(run)[1].release()

    def release_all(self) -> None:
        """Let others write to all folders."""
        for run in list(self._taken):
            self.release(run)

    def _claim(self, origin: Origin) -> RunFolder:
        found = self.find(origin.experiment, origin.run_id, origin.run)
        if found is not None:
            return found
        lock = FileLock(self._side(origin.experiment) / "claims.lock")
        lock.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _CLAIM_SECONDS
        while not lock.acquire():
            if time.monotonic() > deadline:
                raise ClaimError(f"{lock.path} stays locked: see which process holds it.")
            time.sleep(_POLL_SECONDS)
        try:
            return self._claim_locked(origin)
        finally:
            lock.release()

    def _claim_locked(self, origin: Origin) -> RunFolder:
        for number, folder in enumerate(self._candidates(origin.experiment, origin.run_id)):
            claim = _read_claim(folder)
            if claim is not None and claim["run"] != origin.run:
                continue
            if claim is None:
                claim = _write_claim(folder, origin)
                if number:
                    _logger.warning(
                        "The folder of run %s belongs to another run: this one writes to %s.",
                        ascii(origin.run_id),
                        folder.path,
                    )
            return replace(folder, found=bool(claim.get("found")))
        raise AssertionError("candidates never end")

    def _candidates(self, experiment: str, run_id: str) -> Iterator[RunFolder]:
        visible = Path(self.par_dir, self.kind, escape(experiment))
        side = self._side(experiment) / "folders"
        for number in itertools.count():
            parts = run_parts(f"{run_id}_{number}" if number else run_id)
            yield RunFolder(visible.joinpath(*parts), side.joinpath(*parts))

    def _side(self, experiment: str) -> Path:
        return self.par_dir / _NOTES / escape(experiment) / self.kind


def _read_claim(folder: RunFolder) -> dict[str, Any] | None:
    """Return what says whose a folder is, None where it is nobody's."""
    path = folder.side / _CLAIM
    try:
        claim = json.loads(path.read_bytes())
        return {**claim, "run": str(claim["run"])}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ClaimError(
            f"{path} cannot be read: delete it where no other run wrote to {folder.path}."
        ) from error


def _write_claim(folder: RunFolder, origin: Origin) -> dict[str, Any]:
    folder.side.mkdir(parents=True, exist_ok=True)
    claim = {
        "run": origin.run,
        "experiment": origin.experiment,
        "run_id": origin.run_id,
        "found": folder.path.is_dir() and any(folder.path.iterdir()),
    }
    durable.write(folder.side / _CLAIM, json.dumps(claim, indent=2).encode())
    return claim
