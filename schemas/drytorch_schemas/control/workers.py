"""Messages between workers and the broker: names, cursors, dead letters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drytorch_schemas.control.base import Id, Message, Sequence
from drytorch_schemas.control.reading import Filters
from drytorch_schemas.limits import PROTOCOL_VERSION


class Attach(Message):
    """A worker takes its name, and asks where to go on.

    Attributes:
        version: protocol version.
        worker: the worker's name, under which the broker keeps its cursor.
        instance: random id of this process; a second living one of the same name is refused.
        start: `cursor` (else from the start), `start`, `now`, or an offset in digits. A kept cursor
            wins over all.
        filters: what it wants, for `workers` to show and for retention.
        trackers: names of its trackers.
        host: name of its host.
        pid: its process.
        run_scoped: whether the cursor is removed when the worker detaches as done.
    """

    type: Literal["attach"] = "attach"
    version: int = PROTOCOL_VERSION
    worker: Id
    instance: Id
    start: Annotated[str, Field(pattern=r"^(cursor|start|now|\d{1,19})$")] = "cursor"
    filters: Filters
    trackers: list[str] = Field(default_factory=list)
    host: str = ""
    pid: int = 0
    run_scoped: bool = False


class Attached(Message):
    """The broker's answer to `Attach`.

    Attributes:
        journal: the journal's id.
        cursor: the offset to fetch from.
        head: the first offset not yet used.
        kept: whether a cursor was kept from before.
        skipped: records that retention removed before the worker had them.
        ports: TCP ports, as in `Welcome`.
    """

    type: Literal["attached"] = "attached"
    journal: str
    cursor: Sequence
    head: Sequence
    kept: bool = False
    skipped: int = 0
    ports: dict[str, int] = Field(default_factory=dict)


class Commit(Message):
    """A worker has handled and flushed everything below an offset. Also its sign of life.

    Attributes:
        worker: the worker's name.
        instance: the process that holds the name.
        journal: the journal that the cursor is good for.
        cursor: the next offset that it has not handled.
        last_error: the last error of one of its trackers, one line.
    """

    type: Literal["commit"] = "commit"
    worker: Id
    instance: Id
    journal: str
    cursor: Sequence
    last_error: Annotated[str, Field(max_length=2000)] = ""


class DeadLetter(Message):
    """A tracker could not handle an event; it is put aside with its error.

    Attributes:
        worker: the worker's name.
        instance: the process that holds the name.
        offset: where the event lies.
        tracker: name of the tracker.
        error: what it raised, one line.
        topic: the event's topic.
    """

    type: Literal["dead_letter"] = "dead_letter"
    worker: Id
    instance: Id
    offset: Sequence
    tracker: str
    error: Annotated[str, Field(max_length=10_000)]
    topic: str = ""


class Detach(Message):
    """A worker leaves.

    Attributes:
        worker: the worker's name.
        instance: the process that holds the name.
        done: whether it has handled all that it ever will; a run-scoped cursor is then removed.
    """

    type: Literal["detach"] = "detach"
    worker: Id
    instance: Id
    done: bool = False


class Done(Message):
    """Answer to requests that have nothing to tell."""

    type: Literal["done"] = "done"
