"""Damage in one segment costs what is damaged and no more, and is told."""

import io
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import limits
from drytorch_schemas.errors import NotAJournalError
from drytorch_schemas.journal_reader import Damage, Record, read
from drytorch_schemas.records import ENVELOPE, JOURNAL, Header, encode_header, encode_record
from segments import JOURNAL_ID, payload, read_bytes, segment

SAMPLE = segment(100, 8)


def test_every_flipped_bit_is_detected() -> None:
    """A flipped bit is reported once, costs one record at most, and changes no payload (C3)."""
    for bit in range(len(SAMPLE.data) * 8):
        data = bytearray(SAMPLE.data)
        data[bit // 8] ^= 1 << bit % 8
        records, damages = read_bytes(bytes(data))
        assert len(damages) == 1, bit
        damage = damages[0]
        assert damage.position <= bit // 8 < damage.position + damage.size, bit
        assert all(record.payload == payload(record.offset) for record in records)
        lost = sorted(set(SAMPLE.offsets) - {record.offset for record in records})
        in_header = bit // 8 < SAMPLE.ends[0]
        assert len(lost) == (0 if in_header else 1), bit
        if lost and not damage.torn:
            assert (damage.first_offset, damage.last_offset) == (lost[0], lost[0])
            assert SAMPLE.place(lost[0]) == slice(damage.position, damage.position + damage.size)


def test_truncation_at_every_byte() -> None:
    """A file cut anywhere gives all whole records, and the rest is one torn tail (C4)."""
    for size in range(len(SAMPLE.data)):
        records, damages = read_bytes(SAMPLE.data[:size])
        whole = sum(end <= size for end in SAMPLE.ends[1:])
        assert [record.offset for record in records] == SAMPLE.offsets[:whole], size
        if size in SAMPLE.ends:
            assert damages == []
            continue
        (damage,) = damages
        assert damage.torn
        assert damage.position + damage.size == size
        if size > SAMPLE.ends[0]:
            assert damage.position == SAMPLE.ends[whole]
            assert damage.first_offset == SAMPLE.first + whole


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"\0" * 10_000, "zeros"),
        (random.Random(1).randbytes(10_000), "torn"),
        (b"\x95" * 10_000, "torn"),
        (SAMPLE.data[SAMPLE.place(103)][:-1], "torn"),
        (b"\0", "zeros"),
    ],
    ids=["zeros", "garbage", "marks", "part of a record", "one zero"],
)
@pytest.mark.parametrize("size", [134, len(SAMPLE.data)], ids=["no records", "records"])
def test_garbage_behind_the_last_record(tail: bytes, reason: str, size: int) -> None:
    """What stands behind the last record is one torn tail, and all records come out (C6)."""
    records, damages = read_bytes(SAMPLE.data[:size] + tail)
    assert [record.offset for record in records] == (SAMPLE.offsets if size > 134 else [])
    following = SAMPLE.first + len(records)
    (damage,) = damages
    assert damage == Damage(size, len(tail), damage.reason, following, None, torn=True)
    assert reason in damage.reason


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_in_the_middle_costs_what_it_hits(data: st.DataObject) -> None:
    """Overwritten bytes cost the records that they hit; all lost offsets and bytes are told."""
    start = data.draw(st.integers(SAMPLE.ends[0], len(SAMPLE.data) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=60))
    noise = noise[: len(SAMPLE.data) - start]
    damaged = SAMPLE.data[:start] + noise + SAMPLE.data[start + len(noise) :]
    changed = {
        start + number for number, byte in enumerate(noise) if byte != SAMPLE.data[start + number]
    }
    hit = {
        offset
        for offset in SAMPLE.offsets
        if changed & set(range(*SAMPLE.place(offset).indices(len(damaged))))
    }
    records, damages = read_bytes(damaged)
    assert {record.offset for record in records} == set(SAMPLE.offsets) - hit
    told = {
        offset
        for damage in damages
        for offset in SAMPLE.offsets
        if damage.first_offset is not None
        and damage.first_offset <= offset <= (damage.last_offset or SAMPLE.offsets[-1])
    }
    assert told == hit
    sizes = sum(SAMPLE.place(each).stop - SAMPLE.place(each).start for each in hit)
    assert sum(damage.size for damage in damages) == sizes


def test_inserted_bytes_cost_nothing() -> None:
    """Bytes between two records are reported and cost no record."""
    at = SAMPLE.place(103).start
    records, damages = read_bytes(SAMPLE.data[:at] + b"\x95noise" + SAMPLE.data[at:])
    assert [record.offset for record in records] == SAMPLE.offsets
    assert damages == [Damage(at, 6, "damaged bytes")]


def test_a_record_cut_out() -> None:
    """A record that is missing without a trace is reported."""
    records, damages = read_bytes(SAMPLE.without(103))
    assert [record.offset for record in records] == [100, 101, 102, 104, 105, 106, 107]
    assert damages == [Damage(SAMPLE.place(103).start, 0, "records are missing", 103, 103)]


def test_a_record_that_comes_twice() -> None:
    """A record that comes again is given once and reported."""
    place = SAMPLE.place(103)
    records, damages = read_bytes(
        SAMPLE.data[: place.stop] + SAMPLE.data[place] + SAMPLE.data[place.stop :]
    )
    assert [record.offset for record in records] == SAMPLE.offsets
    assert [(damage.position, damage.size) for damage in damages] == [
        (place.stop, place.stop - place.start)
    ]


@pytest.mark.parametrize("copy", [0, 1])
def test_one_copy_of_the_header_is_enough(copy: int) -> None:
    """A whole copy of the header may be lost at no other cost."""
    data = bytearray(SAMPLE.data)
    data[copy * 67 : copy * 67 + 67] = b"\xff" * 67
    records, damages = read_bytes(bytes(data))
    assert [record.offset for record in records] == SAMPLE.offsets
    assert damages == [Damage(copy * 67, 67, "a copy of the header is damaged")]


def test_both_copies_of_the_header_damaged() -> None:
    """Without any copy of the header the whole segment is reported, and not called torn."""
    data = bytearray(SAMPLE.data)
    data[66] ^= 1
    data[133] ^= 1
    records, (damage,) = read_bytes(bytes(data))
    assert records == []
    assert (damage.position, damage.size, damage.torn) == (0, len(data), False)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"epoch,loss\r\n1,0.5\r\n", "not a journal"),
        (b"\x1f\x8b\x08" + SAMPLE.data, "gunzip"),
        (b"x", "not a journal"),
        (SAMPLE.data[134:], "not a journal"),
    ],
    ids=["csv", "gzip", "one byte", "no header"],
)
def test_what_is_no_journal(data: bytes, word: str) -> None:
    """A stream that does not begin as a segment does is named as what it is."""
    with pytest.raises(NotAJournalError, match=word):
        read_bytes(data)


def test_zeros_in_front() -> None:
    """Zeros before the header cost nothing but a report."""
    records, damages = read_bytes(b"\0" * 100 + SAMPLE.data)
    assert len(records) == 8
    assert damages == [Damage(0, 100, "zeros")]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_bytes(head: bytes, tail: bytes) -> None:
    """Any bytes at all are read, or refused by name, and every byte is accounted for."""
    for data in (head, SAMPLE.data[:134] + head, SAMPLE.data + head + SAMPLE.data[150:] + tail):
        try:
            items = list(read(io.BytesIO(data)))
        except NotAJournalError:
            continue
        covered = sum(item.size for item in items)
        headers = 134 if data.startswith(SAMPLE.data[:134]) else 0
        assert covered + headers == len(data)


def test_a_coincidence_does_not_hide_the_rest() -> None:
    """Behind damage, a record whose offset is out of all reason is not believed."""
    wild = encode_record(ENVELOPE, 2**60, b"\xc0", 77 + 100)
    at = SAMPLE.place(103).start
    records, damages = read_bytes(SAMPLE.data[:at] + b"?" + wild + SAMPLE.data[at:])
    assert [record.offset for record in records] == SAMPLE.offsets
    assert [damage.size for damage in damages] == [1 + len(wild)]


class Slow:
    """A pipe that gives a few bytes at a time, and remembers how many were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        """Give seven bytes."""
        return self.data.read(min(size, 7))


def test_pipes() -> None:
    """A stream that gives a few bytes at a time is read like a file."""
    data = bytearray(SAMPLE.data)
    data[SAMPLE.place(104).start + 25] ^= 1
    expected = list(read(io.BytesIO(data)))
    assert list(read(Slow(bytes(data)))) == expected  # type: ignore[arg-type]  # all that is used
    assert len([item for item in expected if isinstance(item, Record)]) == 7


def test_memory_is_bounded() -> None:
    """Reading takes memory for the largest record, not for the file, whatever is in it."""
    size = limits.MAX_EVENT_BYTES - 5
    big = b"\xc6" + size.to_bytes(4, "big") + bytes(size)
    data = encode_header(Header(JOURNAL, JOURNAL_ID, 0, 1, 1))
    data += b"".join(encode_record(ENVELOPE, offset, big, 1) for offset in range(20))
    data += bytes(20 << 20) + random.Random(2).randbytes(1 << 20)
    stream = io.BytesIO(data)
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Record) for item in read(stream))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20
    assert peak < 12 << 20
