"""Trackers that a user names on a command line, with their options, and where they write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from drytorch_trackers import exit_codes, options, registry
from drytorch_trackers.base import Tracker
from drytorch_trackers.errors import OptionError, WorkError
from drytorch_trackers.hosted import one_line

#: Options that lead somewhere else than to a folder.
_ADDRESSES: Final = {"url", "engine"}


def arguments_of(
    targets: Sequence[str], given: Sequence[str]
) -> dict[str, tuple[type[Tracker], dict[str, Any]]]:
    """Return class and constructor's arguments of each tracker, by the name that the user gave.

    Args:
        targets: short names, `module:Class` or `file.py:Class`.
        given: `[tracker.]option=value`.

    Raises:
        TrackersError: a tracker or an option is not there, or a library is missing.
        WorkError: a tracker is named twice.
    """
    if len(set(targets)) < len(targets):
        raise WorkError("A tracker is named twice: name each once.", exit_codes.USAGE)
    classes = {target: registry.load(target) for target in targets}
    pairs: dict[str, list[tuple[str, str]]] = {target: [] for target in targets}
    for text in given:
        target, option, value = options.split(text)
        if target is not None and target not in pairs:
            raise OptionError(
                f"Option {text!r} is for {target}, which is not among {', '.join(targets)}."
            )
        for each in targets if target is None else [target]:
            pairs[each].append((option, value))
    return {target: (cls, options.parse(cls, pairs[target])) for target, cls in classes.items()}


def build(targets: Sequence[str], given: Sequence[str]) -> dict[str, Tracker]:
    """Return the trackers themselves, by the name that the user gave.

    Args:
        targets: short names, `module:Class` or `file.py:Class`.
        given: `[tracker.]option=value`.

    Raises:
        TrackersError: as `arguments_of`.
        WorkError: a constructor raises.
    """
    built: dict[str, Tracker] = {}
    for target, (cls, arguments) in arguments_of(targets, given).items():
        try:
            built[target] = cls(**arguments)
        except Exception as error:
            raise WorkError(
                f"Tracker {target} cannot be built: {one_line(error)}", exit_codes.USAGE
            ) from error
    return built


def places(targets: Sequence[str], given: Sequence[str], par_dir: Path) -> str:
    """Return trackers with the folders that they write under, in words.

    Args:
        targets: as `arguments_of`.
        given: as there.
        par_dir: where those write that were given no folder of their own.
    """
    folders: dict[str, list[str]] = {}
    for target, (_, arguments) in arguments_of(targets, given).items():
        folder = Path(arguments.get("par_dir") or par_dir).absolute()
        elsewhere = _ADDRESSES & arguments.keys()
        folders.setdefault("" if elsewhere else f" under {folder}", []).append(target)
    return "; ".join(f"{', '.join(names)}{place}" for place, names in folders.items())


def writable(folder: Path) -> Path:
    """Return a folder made absolute, after making it and looking whether it can be written to.

    Args:
        folder: what the user gave.

    Raises:
        WorkError: it cannot be made or written to.
    """
    path = folder.absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        raise WorkError(
            f"The folder {path} cannot be made ({error.strerror}): choose another --par-dir.",
            exit_codes.PERMISSION if denied else exit_codes.IO,
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise WorkError(
            f"The folder {path} cannot be written to: choose another --par-dir.",
            exit_codes.PERMISSION,
        )
    return path
