"""What can be chosen about the journal's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fsync = Literal["batch", "interval", "never"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Options of a `FileLog`.

    Attributes:
        segment_bytes: a segment is closed when it is larger, bytes. Larger ones mean fewer files,
            and larger indexes in memory.
        fsync: `batch`: a commit is on disk before it is acknowledged. `interval`: it is
            acknowledged once the kernel has it, and on disk at most `fsync_interval` later: a
            power loss costs that much. `never`: the kernel writes when it likes (about 30 s).
        fsync_interval: seconds between two fsyncs of `interval`.
        max_bytes: size of all segments at which the log acts as if the disk were full.
        index_every: bytes after which the index of the segment that is being written is saved, or
            a quarter of a segment: no more than that, and a commit, has to be read at a start after
            a kill (16 MiB take about half a second).
    """

    segment_bytes: int = 64 << 20
    fsync: Fsync = "batch"
    fsync_interval: float = 1.0
    max_bytes: int = 10 << 30
    index_every: int = 16 << 20
