"""What a worker is told, over its standard input and never on a command line."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drytorch_client.declarations import Declaration
from drytorch_client.errors import WorkerSpecError
from drytorch_schemas.control import Filter
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.packing import pack, unpack

#: Exit code of a worker whose trackers go on in workers of their own, see `plan.alone`.
SPLIT_CODE: Final = 79


class WorkerSpec(BaseModel):
    """A worker's trackers, where its events come from and where it writes.

    Attributes:
        name: name of the worker, under which the broker keeps its cursor.
        broker: URL of the broker.
        declarations: its trackers, in the order in which each event reaches them.
        filter: which events it wants.
        par_dir: folder to write under, absolute.
        script_dir: the user's script folder, which comes last on the worker's path; may be empty.
        path: where the training looks for modules; what the worker's path lacks of it is added.
        follow: go on after the matched runs are over.
        run_scoped: the broker drops the cursor when the worker has handled all.
        splits: whether its trackers go on in workers of their own when one disturbs the others.
        since: events emitted before this time belong to an earlier start of a resumed run and were
            handed to that start's worker, nanoseconds since 1970, UTC; 0 for all.
        run_ts: local time, ISO 8601, in the event of the start that is meant by `since`.
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
    path: list[str] = Field(default_factory=list)
    follow: bool = False
    run_scoped: bool = True
    splits: bool = False
    since: int = 0
    run_ts: str = ""
    owed: str = ""
    log_file: str = ""
    relay: bool = False
    quiet_exit_s: float = Field(default=45.0, gt=0)
    stuck_exit_s: float = Field(default=30.0, gt=0)

    def to_bytes(self) -> bytes:
        """Return the form that is written to the worker's standard input.

        Unlike `model_dump`, which is for files, it holds what was handed over.

        Raises:
            EncodingError: an argument has no msgpack form, such as a lone surrogate.
        """
        code = [each.code for each in self.declarations]
        return pack({"spec": self.model_dump(), "code": code})

    @property
    def startable(self) -> bool:
        """Whether all is here that the worker needs; what was handed over is in no file."""
        return all(each.code or not each.handed_over for each in self.declarations)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the spec that was written.

        Args:
            data: what `to_bytes` gave, or the msgpack form of `model_dump`.

        Raises:
            WorkerSpecError: these bytes are no spec.
        """
        try:
            fields = unpack(data)
            spec = cls.model_validate(fields.get("spec", fields))
            code = fields.get("code", [b""] * len(spec.declarations))
            declarations = [
                each.with_code(bytes(given)) if given else each
                for each, given in zip(spec.declarations, code, strict=True)
            ]
            return spec.model_copy(update={"declarations": declarations})
        except (DecodingError, ValidationError, AttributeError, TypeError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise WorkerSpecError(
                f"The worker's description cannot be read ({first}): start it by the training."
            ) from error
