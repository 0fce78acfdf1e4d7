"""Who emits: the run and the process of this rank."""

from __future__ import annotations

from dataclasses import dataclass

from drytorch_schemas.envelope import Origin


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

    def origin(self, producer: str) -> Origin:
        """Return the part of envelopes that the run's events of a producer share.

        Args:
            producer: id of the producer.
        """
        return Origin(producer, self.experiment, self.run_id, self.run, self.rank, self.host)
