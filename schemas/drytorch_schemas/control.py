"""Messages of the control channel (DEALER to ROUTER): one msgpack map each, told apart by `type`.

Three groups: producers (hello, acknowledgements, resend), workers (fetch by offset, cursors, dead letters)
and operators (status, runs, stop). A request carries an `id` that its answer repeats. Readers ignore
unknown fields, so that a newer peer of the same protocol version can say more.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from drytorch_schemas.errors import DecodingError
from drytorch_schemas.limits import (
    MAX_FETCH_BYTES,
    MAX_FETCH_RECORDS,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
)
from drytorch_schemas.packing import pack, unpack
from drytorch_schemas.topics import TopicFilter

Id = Annotated[str, Field(min_length=1, max_length=255)]
Sequence = Annotated[int, Field(ge=0, lt=2**63)]
Token = Annotated[bytes, Field(min_length=8, max_length=64)]


class Message(BaseModel):
    """Base class of control messages.

    Attributes:
        id: number that the asker gave; the answer repeats it; 0 where no answer is awaited.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    type: str
    id: int = 0


# ---- producers


class Hello(Message):
    """A producer says who it is, at each connection.

    Attributes:
        version: protocol version.
        producer: id of the producer.
        token: the producer's secret, set at its first hello.
        host: name of its host.
        pid: its process.
        oldest: the oldest sequence number that it still holds; equals `next` when it holds none.
        next: the sequence number that it will give next.
        adopted: whether somebody else delivers what a dead producer left.
        spool: path of its spool folder on its host, to see from outside whether it lives.
    """

    type: Literal["hello"] = "hello"
    version: int = PROTOCOL_VERSION
    producer: Id
    token: Token
    host: str
    pid: int
    oldest: Sequence
    next: Sequence
    adopted: bool = False
    spool: str = ""


class Welcome(Message):
    """The broker's answer to a hello.

    Attributes:
        version: the broker's protocol version.
        journal: the journal's id, 32 hexadecimal digits.
        producer: id of the producer that this is for.
        durable: the producer's last sequence number that is on disk; 0 for none.
        ports: TCP ports of `ingest` and `fanout`; empty for ipc. Never addresses: NAT and forwarding change these.
        max_event_bytes: largest envelope that the broker takes.
    """

    type: Literal["welcome"] = "welcome"
    version: int = PROTOCOL_VERSION
    journal: str
    producer: Id
    durable: Sequence
    ports: dict[str, int] = Field(default_factory=dict)
    max_event_bytes: int


class Ack(Message):
    """Everything of a producer up to `durable` is on disk (under --fsync batch).

    Attributes:
        producer: id of the producer.
        durable: its last sequence number that is acknowledged.
        highest: the highest sequence number that arrived, perhaps out of order.
        full: whether the broker cannot write at the moment; it keeps what it has.
    """

    type: Literal["ack"] = "ack"
    producer: Id
    durable: Sequence
    highest: Sequence
    full: bool = False


class Nak(Message):
    """Sequence numbers are missing: send them again.

    Attributes:
        producer: id of the producer.
        first: first missing number.
        last: last missing number.
    """

    type: Literal["nak"] = "nak"
    producer: Id
    first: Sequence
    last: Sequence


class Probe(Message):
    """A producer asks how far the broker is, after a quiet time. Also its sign of life.

    Attributes:
        producer: id of the producer.
        token: its secret.
        last: the last sequence number that it sent.
        oldest: the oldest sequence number that it still holds.
    """

    type: Literal["probe"] = "probe"
    producer: Id
    token: Token
    last: Sequence
    oldest: Sequence


class Bye(Message):
    """A producer ends in good order; answered by an `Ack` when everything is on disk.

    Attributes:
        producer: id of the producer.
        token: its secret.
        last: the last sequence number that it gave.
    """

    type: Literal["bye"] = "bye"
    producer: Id
    token: Token
    last: Sequence


class Refused(Message):
    """The broker will not do it.

    Attributes:
        code: `token`, `version`, `unknown`, `name_taken`, `bad_request`, `journal`, `full`.
        text: one sentence for a person.
        producer: id of the producer that this is for, where it is for one.
    """

    type: Literal["refused"] = "refused"
    code: str
    text: str
    producer: str = ""


# ---- workers


class Filter(BaseModel):
    """A `TopicFilter` on the wire."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    experiment: str = "*"
    run_id: str = "*"
    run: str | None = None
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


Filters = Annotated[list[Filter], Field(min_length=1, max_length=64)]


class Attach(Message):
    """A worker takes its name, and asks where to go on.

    Attributes:
        version: protocol version.
        worker: the worker's name, under which the broker keeps its cursor.
        instance: random id of this process; a second living one of the same name is refused.
        start: `cursor` (else from the start), `start`, `now`, or an offset in digits. A kept cursor wins over all.
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


# ---- operators


class Ask(Message):
    """An operator's request.

    Attributes:
        what: `status`, `runs`, `workers`, `dead` or `stop`.
        name: worker's name for `dead`; glob on the experiment for `runs`.
    """

    type: Literal["ask"] = "ask"
    what: Literal["status", "runs", "workers", "dead", "stop"]
    name: str = ""


class Answer(Message):
    """Answer to an operator's request.

    Attributes:
        data: plain data; its keys are documented in schemas/PROTOCOL.md.
    """

    type: Literal["answer"] = "answer"
    data: Any


AnyMessage = Annotated[
    Hello
    | Welcome
    | Ack
    | Nak
    | Probe
    | Bye
    | Refused
    | Attach
    | Attached
    | Fetch
    | FetchContext
    | Records
    | Commit
    | DeadLetter
    | Detach
    | Done
    | Ask
    | Answer,
    Field(discriminator="type"),
]


class _Reader:
    adapter: ClassVar[TypeAdapter[AnyMessage]] = TypeAdapter(AnyMessage)


def encode(message: Message) -> bytes:
    """Return a control message as bytes.

    Args:
        message: any of the messages above.

    Raises:
        EncodingError: an answer holds something that has no msgpack form.
    """
    return pack(message.model_dump())


def decode(data: bytes) -> AnyMessage:
    """Return the control message that bytes from outside hold.

    Args:
        data: one msgpack map.

    Raises:
        DecodingError: not a control message of this protocol version.
    """
    fields = unpack(data, MAX_MESSAGE_BYTES)
    try:
        return _Reader.adapter.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DecodingError(f"not a control message: {where}: {first['msg']}") from error
