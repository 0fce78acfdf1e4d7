"""Names of experiments, runs, models and actors: what is allowed, and what is given by default."""

from __future__ import annotations

import collections
import datetime
import multiprocessing
import os
from typing import Final

from drytorch_client.errors import InvalidNameError

MAX_LENGTH: Final = 255
FORBIDDEN: Final = '\\/:*?"<>|\0'
TIME_FORMAT: Final = "%Y-%m-%d@%Hh%Mm%Ss"


def check_name(name: str, what: str) -> None:
    """Refuse a name that cannot be one of an experiment or a run.

    Args:
        name: the name.
        what: whose it is, for the error.

    Raises:
        InvalidNameError: it is too long, or holds a character that no folder's name may have.
    """
    if len(name) > MAX_LENGTH:
        raise InvalidNameError(
            f"The name of the {what} has {len(name)} characters, at most {MAX_LENGTH} are "
            f"allowed: choose a shorter one."
        )
    bad = [character for character in name if character in FORBIDDEN]
    if bad:
        raise InvalidNameError(
            f"The name {name!r} of the {what} contains the character {bad[0]!r}, which is not "
            f"allowed: remove it."
        )
    if name in (".", ".."):
        raise InvalidNameError(f"{name!r} cannot be the name of the {what}: choose another one.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidNameError(
            f"The name {name!a} of the {what} contains the lone surrogate "
            f"{name[error.start]!a}: remove it."
        ) from None


class NameCounter:
    """Gives each name once: a repeated one gets `_1`, `_2` and so on."""

    def __init__(self) -> None:
        """Initialize."""
        self._given: collections.Counter[str] = collections.Counter()
        self._taken: set[str] = set()

    def give(self, name: str) -> str:
        """Return the name, with a number where it was given before.

        Args:
            name: the name that is wanted.
        """
        while True:
            count = self._given[name]
            self._given[name] += 1
            given = f"{name}_{count}" if count else name
            if given not in self._taken:
                self._taken.add(given)
                return given


def default_run_id(created: datetime.datetime) -> str:
    """Return the run id for a time.

    Args:
        created: the run's local time.
    """
    return created.strftime(TIME_FORMAT)


def with_process(run_id: str) -> str:
    """Return a run id, in a child of multiprocessing with the process's number behind it.

    Args:
        run_id: the run id.
    """
    if multiprocessing.parent_process() is None:
        return run_id
    return f"{run_id}_{os.getpid()}"
