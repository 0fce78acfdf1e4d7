"""Messages of whoever reads the journal through a broker: fetch by offset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from drytorch_schemas.control.base import Message, Sequence
from drytorch_schemas.limits import MAX_FETCH_BYTES, MAX_FETCH_RECORDS, MAX_FILTERS, MAX_NAME_LENGTH
from drytorch_schemas.topics import TopicFilter

Glob = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


class Filter(BaseModel):
    """A `TopicFilter` on the wire.

    Attributes:
        experiment: shell-style glob on the experiment's name.
        run_id: shell-style glob on the run id.
        run: UUID of one run, 32 hexadecimal digits.
        kinds: the kinds wanted; empty for all.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    experiment: Glob = "*"
    run_id: Glob = "*"
    run: Annotated[str, Field(max_length=MAX_NAME_LENGTH)] | None = None
    kinds: list[str] = Field(default_factory=list)

    def unwired(self) -> TopicFilter:
        """Return the filter itself."""
        return TopicFilter(self.experiment, self.run_id, self.run, tuple(self.kinds))

    @classmethod
    def wired(cls, topic_filter: TopicFilter) -> Filter:
        """Return a filter's wire form."""
        return cls(
            experiment=topic_filter.experiment,
            run_id=topic_filter.run_id,
            run=topic_filter.run,
            kinds=list(topic_filter.kinds),
        )


Filters = Annotated[list[Filter], Field(min_length=1, max_length=MAX_FILTERS)]


class Fetch(Message):
    """Ask for records from an offset. Needs no `Attach`: `replay --broker` and `tail` only read.

    Attributes:
        start: the first offset wanted.
        end: stop before this offset; 0 for the head.
        filters: which envelopes.
        max_bytes: most bytes of payload in the answer (one record may be larger).
        max_records: most records in the answer.
    """

    type: Literal["fetch"] = "fetch"
    start: Sequence
    end: Sequence = 0
    filters: Filters
    max_bytes: Annotated[int, Field(gt=0, le=MAX_FETCH_BYTES)] = MAX_FETCH_BYTES
    max_records: Annotated[int, Field(gt=0, le=MAX_FETCH_RECORDS)] = MAX_FETCH_RECORDS


class FetchContext(Message):
    """Ask for the context (start and registrations) of the runs that match, as of an offset.

    Attributes:
        before: only what lies before this offset.
        filters: which runs; kinds are ignored.
        open_only: leave out runs that ended before the offset.
    """

    type: Literal["context"] = "context"
    before: Sequence
    filters: Filters
    open_only: bool = True


class Records(Message):
    """Records, and how far the answer reaches, also where nothing matched.

    Attributes:
        journal: the journal's id.
        records: pairs of offset and envelope bytes, in offset order.
        covered_to: everything that matches below this offset is in this or an earlier answer.
        head: the first offset not yet used.
        start: the first offset that the journal still holds, where later than asked for.
    """

    type: Literal["records"] = "records"
    journal: str
    records: list[Annotated[tuple[int, bytes], Strict(strict=False)]]
    covered_to: Sequence
    head: Sequence
    start: Sequence = 0
