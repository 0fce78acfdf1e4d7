"""The broker's places at which a test can have it killed, one set for the whole process."""

from __future__ import annotations

import functools
from typing import Final

from drytorch_schemas.failpoints import Failpoints

#: Every place. `journal.write` and `durable.write` leave half of what they were writing behind.
NAMES: Final = (
    "journal.append",  # a commit's first record is about to be put together
    "journal.segment",  # a new segment's file is there, and empty
    "journal.write",
    "journal.written",  # nobody has waited for the disk yet
    "journal.fsync",  # a new segment is on disk, its name may not be
    "journal.synced",  # all is on disk, nothing is acknowledged
    "durable.write",
    "journal.full",  # a full segment is closed, its index is not there
    "file.drafted",  # a side file is whole under its other name
    "file.renamed",  # nobody has waited for the name yet
    "journal.trim",  # a segment is about to be removed
    "journal.trimmed",  # the segment is gone, its index is not
    "recovery.aside",  # a torn tail is copied, and still there
    "recovery.cut",  # a torn tail is cut off, nobody has waited for that
    "recovery.done",  # all that recovery writes is written
)


@functools.cache
def armed() -> Failpoints | None:
    """Return what this process was started with, None for nothing."""
    return Failpoints.get()


def hit(name: str) -> None:
    """Kill this process where this place is armed.

    Args:
        name: one of `NAMES`.
    """
    if (points := armed()) is not None:
        points.hit(name)


def torn(name: str, descriptor: int, data: bytes, position: int) -> None:
    """Write half of the data, then kill this process, where this place is armed.

    Args:
        name: one of `NAMES`.
        descriptor: the open file.
        data: what is about to be written.
        position: where to, bytes.
    """
    if (points := armed()) is not None:
        points.torn_at(name, descriptor, data, position)
