"""What a worker is told, over its standard input and never on a command line."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drytorch_client.declarations import Declaration
from drytorch_client.errors import WorkerSpecError
from drytorch_schemas.control import Filter
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack


class WorkerSpec(BaseModel):
    """A worker's trackers, where its events come from and where it writes.

    Attributes:
        name: name of the worker, under which the broker keeps its cursor.
        broker: URL of the broker.
        declarations: its trackers, in the order in which each event reaches them.
        filter: which events it wants.
        par_dir: folder to write under, absolute.
        script_dir: the user's script folder, which comes last on the worker's path; may be empty.
        follow: go on after the matched runs are over.
        run_scoped: the broker drops the cursor when the worker has handled all.
        since: events emitted before this time belong to an earlier start of a resumed run and were
            handed to that start's worker, nanoseconds since 1970, UTC; 0 for all.
        owed: path of the file that keeps this worker on the owed list; empty where it is not.
        log_file: where output goes that nobody relays.
        relay: whether the parent relays the output while it lives.
        quiet_exit_s: leave after so many seconds without a broker.
        stuck_exit_s: leave when the run is over and a tracker has finished nothing for so many
            seconds.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    name: str
    broker: str
    declarations: list[Declaration]
    filter: Filter
    par_dir: str
    script_dir: str = ""
    follow: bool = False
    run_scoped: bool = True
    since: int = 0
    owed: str = ""
    log_file: str = ""
    relay: bool = False
    quiet_exit_s: float = Field(default=45.0, gt=0)
    stuck_exit_s: float = Field(default=30.0, gt=0)

    def to_bytes(self) -> bytes:
        """Return the form that is written to the worker's standard input.

        Raises:
            EncodingError: an argument has no msgpack form, such as a lone surrogate.
        """
        return pack(self.model_dump())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the spec that was written.

        Args:
            data: what `to_bytes` gave.

        Raises:
            WorkerSpecError: these bytes are no spec.
        """
        try:
            return cls.model_validate(unpack(data))
        except (DecodingError, ValidationError) as error:
            first = str(error).splitlines()[0]
            raise WorkerSpecError(
                f"The worker's description cannot be read ({first}): start it by the training."
            ) from error
