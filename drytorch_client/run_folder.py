"""Where a run's files lie, laid out as DRYTorch does."""

from __future__ import annotations

import pathlib
import re
from typing import Final

#: What cannot stand in a file's name, and `%`, which stands for the others.
_UNSAFE: Final = re.compile(r"[%/\\\x00-\x1f\x7f]")


def run_folder(par_dir: pathlib.Path, folder: str, experiment: str, run_id: str) -> pathlib.Path:
    """Return `<par_dir>/<folder>/<experiment>/<day>/<time>`; without an `@`, `.../<run id>`.

    Args:
        par_dir: the experiment's parent folder.
        folder: for example `checkpoints`.
        experiment: name of the experiment.
        run_id: identifier of the run.
    """
    day, at, hour = run_id.partition("@")
    parts = (day, hour) if at and day and hour else (run_id,)
    return par_dir.joinpath(folder, experiment, *parts)


def safe_name(name: str) -> str:
    """Return a name as the name of one file or folder.

    Args:
        name: the name of a model, for example.
    """
    safe = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return safe.replace(".", "%2E") if safe in (".", "..") else safe
