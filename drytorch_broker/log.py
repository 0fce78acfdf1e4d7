"""The small interface behind which the journal sits; a replicated log can take the file's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class TopicKey(NamedTuple):
    """What a reader can choose envelopes by.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
        kind: kind of the event.
    """

    experiment: str
    run_id: str
    run: str
    kind: str


#: Tells whether a reader wants the envelopes of a topic.
Wanted = Callable[[TopicKey], bool]


@dataclass(slots=True)
class Slice:
    """What a read gave.

    Attributes:
        records: pairs of offset and envelope, in offset order.
        covered_to: everything wanted below this offset is in `records`.
    """

    covered_to: int
    records: list[tuple[int, bytes]] = field(default_factory=list)


class Log(Protocol):
    """An ordered, durable sequence of records under consecutive offsets.

    Appended records cannot be read before `sync` has made them durable. After a failed `sync` the
    caller calls `rollback`, and may append again; nothing that was durable is lost by that.
    """

    @property
    def journal_id(self) -> str:
        """Id of this journal, 32 hexadecimal digits; offsets mean nothing in another one."""

    @property
    def start(self) -> int:
        """The first offset that is still kept."""

    @property
    def head(self) -> int:
        """The offset that the next appended record gets."""

    @property
    def durable(self) -> int:
        """Everything below this offset is durable and can be read."""

    @property
    def size(self) -> int:
        """Bytes that the durable records take."""

    @property
    def rolls(self) -> int:
        """Grows now and then with what was written: a good time to save what leads up to it."""

    @property
    def damages(self) -> list[str]:
        """What was found damaged while it was read, one sentence each."""

    def append(
        self, kind: int, payloads: Sequence[bytes], topics: Sequence[TopicKey | None]
    ) -> int:
        """Append records in memory and return the offset of the first.

        Args:
            kind: kind of all of them.
            payloads: what they hold.
            topics: topic of each; None for what is no envelope.
        """

    def sync(self) -> None:
        """Make everything appended durable.

        Raises:
            LogWriteError: it could not; call `rollback`.
        """

    def rollback(self) -> None:
        """Forget what was appended since the last `sync` that succeeded."""

    def read(
        self, start: int, end: int, wanted: Wanted | None, max_bytes: int, max_records: int
    ) -> Slice:
        """Return envelopes from an offset on.

        Args:
            start: first offset.
            end: stop before this offset.
            wanted: which topics; None for all.
            max_bytes: most bytes of payload (the first record may be larger).
            max_records: most records.
        """

    def trim(self, before: int) -> int:
        """Remove what lies before an offset, as far as the log's units allow; return the new start.

        Args:
            before: keep this offset and what follows.
        """

    def writable(self) -> bool:
        """Tell whether a failed log would take records again; cheap enough for once a second."""

    def close(self) -> None:
        """Release what the log holds; records not made durable are lost."""
