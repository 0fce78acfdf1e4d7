"""A second reader of journals, written from PROTOCOL.md alone, agrees with ours.

`IndependentReader` knows nothing of this project's code: only the document, msgpack and zlib.
"""

import io
import zlib
from typing import Any

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import envelope, frames, records
from drytorch_schemas.envelope import Envelope, Origin
from drytorch_schemas.events import Event
from drytorch_schemas.journal_reader import read
from drytorch_schemas.packing import pack
from drytorch_schemas.records import Header
from segments import split
from wire_values import EVENTS, HEX_IDS, ORIGINS, PLAIN, same


class IndependentReader:
    """Reads the bytes of one stream of segments, as section 7 of the document says."""

    names = (b"\xb0drytorch-journal", b"\xaedrytorch-spool")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.records: list[tuple[int, int, bytes]] = []
        self.skipped = 0
        self.journal: bytes | None = None
        self.salt: int | None = None
        self.next = 0
        self.run()

    def number(self, position: int, size: int) -> int:
        """Return a big-endian number."""
        return int.from_bytes(self.data[position : position + size], "big")

    def header(self, position: int) -> int:
        """Take a copy of a header, and return its size; 0 where none stands."""
        for name in self.names:
            size = 1 + len(name) + 3 + 18 + 9 + 5 + 9 + 5
            copy = self.data[position : position + size]
            if len(copy) < size or copy[:1] != b"\x97" or copy[1 : 1 + len(name)] != name:
                continue
            if copy[-5:] != b"\xce" + zlib.crc32(copy[:-5]).to_bytes(4, "big"):
                continue
            fields = msgpack.unpackb(copy)
            assert fields[1] == 1
            self.journal = self.journal or fields[2]
            self.salt = fields[4]
            self.next = max(self.next, fields[3])
            return size
        return 0

    def record(self, position: int) -> int:
        """Take a record, and return its size; 0 where none stands."""
        head = self.data[position : position + 21]
        if self.salt is None or len(head) < 21:
            return 0
        if (head[0], head[2], head[11], head[16]) != (0x95, 0xCF, 0xCE, 0xCE):
            return 0
        kind, offset = head[1], self.number(position + 3, 8)
        crc, length = self.number(position + 12, 4), self.number(position + 17, 4)
        payload = self.data[position + 21 : position + 21 + length]
        covered = head[1:2] + head[3:11] + head[17:21] + payload
        if len(payload) < length or zlib.crc32(covered, self.salt) != crc:
            return 0
        if not self.next <= offset < self.next + 2**32:
            return 0
        self.records.append((kind, offset, payload))
        self.next = offset + (self.number(position + 22, 4) if kind == 3 else 1)
        return 21 + length

    def run(self) -> None:
        """Go through the stream."""
        position = 0
        while position < len(self.data):
            size = self.record(position) or self.header(position)
            self.skipped += not size
            position += size or 1


@st.composite
def journals(draw: st.DrawFn) -> list[tuple[Header, list[tuple[int, bytes]]]]:
    """Make segments of one journal."""
    journal = draw(HEX_IDS)
    first = draw(st.integers(0, 2**40))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        payloads = draw(st.lists(st.tuples(st.integers(0, 127), PLAIN), max_size=5))
        encoded = [(kind if kind != 3 else 4, pack(value)) for kind, value in payloads]
        header = Header(records.JOURNAL, journal, first, draw(st.integers(0, 2**32 - 1)), 1)
        parts.append((header, encoded))
        first += len(encoded)
    return parts


def written(parts: list[tuple[Header, list[tuple[int, bytes]]]]) -> bytes:
    """Return segments as one stream."""
    data = b""
    for header, payloads in parts:
        data += records.encode_header(header)
        for number, (kind, payload) in enumerate(payloads):
            data += records.encode_record(kind, header.first + number, payload, header.salt)
    return data


def ours(data: bytes) -> tuple[list[tuple[int, int, bytes]], int]:
    """Read with the reader of this project."""
    found, damages = split(list(read(io.BytesIO(data))))
    skipped = sum(damage.size for damage in damages)
    return [(record.kind, record.offset, record.payload) for record in found], skipped


@settings(max_examples=60, deadline=None)
@given(journals())
def test_whole_journals(parts: list[tuple[Header, list[tuple[int, bytes]]]]) -> None:
    """Both readers give everything that was written."""
    data = written(parts)
    reader = IndependentReader(data)
    expected = [
        (kind, header.first + number, payload)
        for header, payloads in parts
        for number, (kind, payload) in enumerate(payloads)
    ]
    assert ours(data) == (reader.records, reader.skipped) == (expected, 0)


@settings(max_examples=150, deadline=None)
@given(journals(), st.data())
def test_damaged_journals(
    parts: list[tuple[Header, list[tuple[int, bytes]]]], data: st.DataObject
) -> None:
    """Both readers give the same of a damaged journal, and skip as many bytes."""
    damaged = bytearray(written(parts))
    for _ in range(data.draw(st.integers(1, 4))):
        # the beginning stays, so that the stream is known for what it is
        place = data.draw(st.integers(60, len(damaged) - 1))
        noise = data.draw(st.binary(max_size=30))
        cut = data.draw(st.integers(0, 30))
        damaged[place : place + cut] = noise
    reader = IndependentReader(bytes(damaged))
    assert ours(bytes(damaged)) == (reader.records, reader.skipped)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(PLAIN, min_size=1, max_size=3), min_size=1, max_size=4),
    st.integers(1, 2**40),
    HEX_IDS,
)
def test_spool_files(batches: list[list[Any]], first: int, producer: str) -> None:
    """Both readers give the batches of a spool file."""
    header = Header(records.SPOOL, producer, first, 5, 1)
    data, sequence, bodies = records.encode_header(header), first, []
    for values in batches:
        bodies.append(frames.array_of([pack(value) for value in values]))
        data += records.encode_record(records.BATCH, sequence, bodies[-1], header.salt)
        sequence += len(values)
    reader = IndependentReader(data)
    assert ours(data) == (reader.records, 0)
    assert [payload for _, _, payload in reader.records] == bodies
    assert reader.next == sequence


@settings(max_examples=40, deadline=None)
@given(ORIGINS, EVENTS, st.integers(1, 2**63 - 1))
def test_envelopes_have_the_documented_keys(origin: Origin, event: Event, seq: int) -> None:
    """An envelope of a journal, read by msgpack alone, holds what the document says."""
    data = envelope.encode(Envelope(origin, seq, 17, event))
    fields = msgpack.unpackb(data)
    assert (fields["v"], fields["kind"], fields["seq"]) == (1, event.kind, seq)
    assert (fields["producer"], fields["run"]) == (origin.producer, origin.run)
    assert (fields["experiment"], fields["run_id"]) == (origin.experiment, origin.run_id)
    assert (fields["rank"], fields["host"], fields["time"]) == (origin.rank, origin.host, 17)
    assert same(fields["event"], msgpack.unpackb(pack(event.to_wire())))
