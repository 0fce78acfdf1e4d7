"""Who emits: the run and the process of this rank."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What all events of one run in one process share, but for the producer.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run, 32 hexadecimal digits.
        rank: rank in the process group, 0 without one.
        host: name of the host.
    """

    experiment: str
    run_id: str
    run: str
    rank: int
    host: str
