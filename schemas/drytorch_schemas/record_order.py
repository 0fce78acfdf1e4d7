"""Records of one journal in offset order, each once, and what is damaged between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from drytorch_schemas import upgrade
from drytorch_schemas.record_stream import Gap, Placed, Record, scan
from drytorch_schemas.records import BATCH, BEGINNINGS, JOURNAL, Header, header_size

_ARRAY32: Final = 0xDD


@dataclass(frozen=True, slots=True)
class Damage:
    """What a reader could not give.

    Attributes:
        position: where it begins in the file or stream, bytes.
        size: bytes that were skipped; 0 where records are missing without a trace.
        reason: what is wrong, a part of a sentence.
        first_offset: the first offset that is lost, where any may be.
        last_offset: the last offset that is lost, where it is known.
        torn: whether it is the tail of a segment, as a writer leaves it that dies in the middle of
            a write.
        source: name of the file, empty for a stream.
    """

    position: int
    size: int
    reason: str
    first_offset: int | None = None
    last_offset: int | None = None
    torn: bool = False
    source: str = ""


def batch_count(payload: bytes) -> int:
    """Return the number of envelopes in a batch's body, 1 where it is no array of our making."""
    if payload[:1] == bytes([_ARRAY32]) and len(payload) > 4:  # noqa: PLR2004  # mark and u32
        return max(int.from_bytes(payload[1:5], "big"), 1)
    return 1


class OrderedReader:
    """What one reading of a journal has seen so far, over all its streams.

    Attributes:
        header: the header of the segment that was read last.
        header_end: where that header ends in its stream, bytes.
        expected: the offset that comes next, None before the first header.
    """

    def __init__(self, journal: str | None = None) -> None:
        """Initialize.

        Args:
            journal: id of the journal to read; None for that of the first header.
        """
        self.header: Header | None = None
        self.header_end = 0
        self.expected: int | None = None
        self._journal = journal
        self._gap: Gap | None = None
        self._skipped: Damage | None = None
        self._foreign = False
        self._old = False
        self._source = ""
        self._copies = 0

    def stream(self, stream: BinaryIO, source: str, what: str) -> Iterator[Record | Damage]:
        """Yield what a stream holds of this journal.

        Args:
            stream: one segment, or several one after another.
            source: name of the file for damages, empty for a stream.
            what: what to call the stream in errors.

        Raises:
            NotAJournalError: the stream is not in our format.
            VersionError: of a newer version than this program reads.
            OSError: reading failed.
        """
        self._source = source
        self.header, self.header_end, self._foreign, self._old = None, 0, False, False
        for item in scan(stream, what):
            if type(item) is Record:
                special = self._gap or self._skipped or self._foreign or self._old
                if item.offset == self.expected and not special:
                    self.expected = self._next(item)
                    yield item
                else:
                    yield from self._unexpected(item)
            elif type(item) is Placed:
                yield from self._begin(item)
            elif type(item) is Gap and self._foreign:
                self._skip(item)
            elif type(item) is Gap:
                yield from self._flush_skipped()
                self._gap = item
        yield from self._flush_skipped()
        yield from self._end()

    @staticmethod
    def _next(record: Record) -> int:
        return record.offset + (batch_count(record.payload) if record.kind == BATCH else 1)

    def _unexpected(self, record: Record) -> Iterator[Record | Damage]:
        expected = self.expected or 0
        if self._foreign or record.offset < expected:
            self._skip(record)
            return
        yield from self._flush_skipped()
        yield from self._settle(record.position, record.offset, "records are missing")
        self.expected = self._next(record)
        yield self._upgraded(record)

    def _upgraded(self, record: Record) -> Record:
        if not self._old or self.header is None:
            return record
        return upgrade.FILES.apply(self.header.format, self.header.version, record)

    def _skip(self, item: Record | Gap) -> None:
        if self._skipped is None:
            reason = "offsets that came before come again"
            self._skipped = self._damage(item.position, 0, reason)
        end = item.position + item.size
        self._skipped = replace(self._skipped, size=end - self._skipped.position)

    def _flush_skipped(self) -> Iterator[Damage]:
        if self._skipped is not None:
            yield self._skipped
            self._skipped = None

    def _begin(self, placed: Placed) -> Iterator[Damage]:
        header, position = placed
        size = header_size(header.format)
        if header == self.header:
            self._copies += 1
            self.header_end = position + size
            return
        yield from self._flush_skipped()
        self._journal = self._journal or header.journal
        self._old = header.version < upgrade.FILES.current
        self._foreign = header.journal != self._journal
        if self._foreign:
            yield from self._settle(position, self.expected or 0, "")
            reason = f"a segment of another journal, {header.journal}"
            self._skipped = self._damage(position, 2 * size, reason)
        else:
            if self.expected is None:
                self.expected = header.first
            yield from self._settle(
                position, header.first, "a segment is missing", begins=self.header is not None
            )
            self.expected = max(self.expected, header.first)
        self.header, self.header_end, self._copies = header, position + size, 1

    def _settle(
        self, position: int, offset: int, missing: str, *, begins: bool = False
    ) -> Iterator[Damage]:
        """Report what lies between the last record and the next one, or the segment that begins."""
        expected = self.expected if self.expected is not None else offset
        lost = offset > expected
        span = (expected, offset - 1) if lost else (None, None)
        if self._gap is not None:
            reason = self._reason()
            torn = begins and not lost
            yield self._damage(self._gap.position, self._gap.size, reason, *span, torn=torn)
            self._gap = None
        elif lost and (self.header is None or self.header.format == JOURNAL):
            yield self._damage(position, 0, missing, *span)

    def _end(self) -> Iterator[Damage]:
        gap, self._gap = self._gap, None
        if gap is None:
            if self.header is None:
                yield self._damage(0, 0, "the file is empty", torn=True)
            elif self._copies == 1 and self.expected == self.header.first:
                reason = "the second copy of the header is not there"
                yield self._damage(self.header_end, 0, reason, torn=True)
            return
        if self.header is None and not gap.zeros and gap.size > 2 * header_size(JOURNAL):
            reason = "both copies of the header are damaged, and nothing can be read without"
            yield self._damage(gap.position, gap.size, reason, self.expected)
            return
        reason = "zeros at the end" if gap.zeros else "the end is torn"
        yield self._damage(gap.position, gap.size, reason, self.expected, torn=True)

    def _reason(self) -> str:
        gap = self._gap
        if gap is None or gap.zeros:
            return "zeros"
        if gap.position == self.header_end and gap.size in map(header_size, BEGINNINGS):
            return "a copy of the header is damaged"
        return "damaged bytes"

    def _damage(
        self,
        position: int,
        size: int,
        reason: str,
        first: int | None = None,
        last: int | None = None,
        *,
        torn: bool = False,
    ) -> Damage:
        return Damage(position, size, reason, first, last, torn, self._source)
