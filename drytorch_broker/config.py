"""All options of a broker, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drytorch_broker.filelog.options import Fsync


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """Options of `drytorch-broker start`.

    Attributes:
        journal: folder of the journal; made with mode 0700 where it is missing.
        listen: URL to listen on; None for three sockets in the user's runtime folder. Port 0 takes
            three free ports in a row.
        insecure: whether an address that other hosts can reach is allowed.
        fsync: what must have happened before a batch is acknowledged, see `LogOptions`.
        max_bytes: size of the journal at which it acts as if the disk were full. Default 10 GiB.
        max_age_days: closed segments older than this are removed, unless a registered worker has
            not read them yet; 0 keeps all.
        keep_bytes: the oldest closed segments are removed while the journal is larger, unless a
            registered worker has not read them yet; 0 keeps all.
        segment_bytes: size at which a segment is closed. Default 64 MiB.
        idle_exit: seconds without a living producer, an attached worker and anything pending
            after which the broker leaves by itself; 0 stays.
        json_logs: whether log lines are JSON objects.
        log_file: where a detached broker logs to; None for stderr.
        ready_descriptor: where to say that the broker is ready or why not; None for nobody.
    """

    journal: Path
    listen: str | None = None
    insecure: bool = False
    fsync: Fsync = "batch"
    max_bytes: int = 10 << 30
    max_age_days: float = 0.0
    keep_bytes: int = 0
    segment_bytes: int = 64 << 20
    idle_exit: float = 0.0
    json_logs: bool = False
    log_file: Path | None = None
    ready_descriptor: int | None = None
