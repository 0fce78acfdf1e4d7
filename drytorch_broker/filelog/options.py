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
            and a longer recovery after a kill (about a second for 64 MiB).
        fsync: `batch`: a commit is on disk before it is acknowledged. `interval`: it is
            acknowledged once the kernel has it, and on disk at most `fsync_interval` later: a
            power loss costs that much. `never`: the kernel writes when it likes (about 30 s).
        fsync_interval: seconds between two fsyncs of `interval`.
        max_bytes: size of all segments at which the log acts as if the disk were full.
    """

    segment_bytes: int = 64 << 20
    fsync: Fsync = "batch"
    fsync_interval: float = 1.0
    max_bytes: int = 10 << 30
