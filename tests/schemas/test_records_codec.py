"""Headers and records as bytes."""

from zlib import crc32

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import limits, records
from drytorch_schemas.errors import EncodingError
from drytorch_schemas.packing import pack
from drytorch_schemas.records import Header
from segments import read_bytes
from wire_values import HEX_IDS, PLAIN

HEADERS = st.builds(
    Header,
    format=st.sampled_from([records.JOURNAL, records.SPOOL]),
    journal=HEX_IDS,
    first=st.integers(0, 2**62),
    salt=st.integers(0, 2**32 - 1),
    created=st.integers(0, 2**64 - 1),
)


@settings(max_examples=60, deadline=None)
@given(HEADERS)
def test_headers_survive(header: Header) -> None:
    """Each of the two copies of a header gives the header back."""
    data = records.encode_header(header)
    size = records.header_size(header.format)
    assert len(data) == 2 * size
    assert records.decode_header(data) == records.decode_header(data, size) == header
    assert records.decode_header(data, 1) is None


@settings(max_examples=60, deadline=None)
@given(HEADERS, st.lists(PLAIN, min_size=1, max_size=5))
def test_records_survive(header: Header, values: list[object]) -> None:
    """Kind, offset and payload of records are the same after the file, place and size are told."""
    payloads = [pack(value) for value in values]
    data = records.encode_header(header)
    for number, payload in enumerate(payloads):
        kind = records.ENVELOPE + number % 2
        data += records.encode_record(kind, header.first + number, payload, header.salt)
    found, damages = read_bytes(data)
    assert damages == []
    assert [record.payload for record in found] == payloads
    assert [record.offset - header.first for record in found] == list(range(len(payloads)))
    assert [record.kind for record in found] == [1 + number % 2 for number in range(len(payloads))]
    assert [data[each.position :][: each.size] for each in found] == [
        records.encode_record(each.kind, each.offset, each.payload, header.salt) for each in found
    ]


def test_any_msgpack_library_can_read_it() -> None:
    """A segment is a plain msgpack stream of two headers and the records."""
    header = Header(records.JOURNAL, "ab" * 16, 5, 6, 7)
    data = records.encode_header(header) + records.encode_record(1, 5, pack({"a": 1}), 6)
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    first, second, record = unpacker
    assert first == second
    assert first[:6] == ["drytorch-journal", 1, b"\xab" * 16, 5, 6, 7]
    assert record[:2] + record[3:] == [1, 5, 4, {"a": 1}]


def test_layout_of_a_record() -> None:
    """The first 21 bytes of a record have fixed width, and its CRC covers all but the marks."""
    payload = pack({"a": 1})
    crc = crc32(bytes([2]) + (9).to_bytes(8, "big") + (4).to_bytes(4, "big") + payload, 1234)
    expected = b"\x95\x02\xcf" + (9).to_bytes(8, "big") + b"\xce" + crc.to_bytes(4, "big")
    expected += b"\xce" + (4).to_bytes(4, "big") + payload
    assert records.encode_record(2, 9, payload, 1234) == expected
    assert records.HEAD.size == 21


def test_records_of_an_older_file_never_pass() -> None:
    """A record under another salt is damage."""
    header = Header(records.JOURNAL, "ab" * 16, 0, 1, 7)
    data = records.encode_header(header) + records.encode_record(1, 0, b"\xc0", 2)
    found, damages = read_bytes(data)
    assert found == []
    assert [damage.torn for damage in damages] == [True]


def test_salts_differ() -> None:
    """Two segments do not get the same salt by default."""
    assert len({Header(records.JOURNAL, "ab" * 16, 0).salt for _ in range(20)}) > 15


@pytest.mark.parametrize(
    "header",
    [
        Header("other", "ab" * 16, 0, 1, 1),
        Header(records.JOURNAL, "ab" * 15, 0, 1, 1),
        Header(records.JOURNAL, "xy" * 16, 0, 1, 1),
        Header(records.JOURNAL, "AB" * 16, 0, 1, 1),
        Header(records.JOURNAL, "ab" * 16, -1, 1, 1),
        Header(records.JOURNAL, "ab" * 16, 0, 2**32, 1),
        Header(records.JOURNAL, "ab" * 16, 0, 1, 2**64),
        Header(records.JOURNAL, "ab" * 16, 0, 1, 1, 2**16),
    ],
    ids=repr,
)
def test_what_is_no_header(header: Header) -> None:
    """A header with a wrong id, format or number is an encoding error."""
    with pytest.raises(EncodingError):
        records.encode_header(header)


def test_largest_record() -> None:
    """The largest record is read, and a larger one is never written."""
    header = Header(records.JOURNAL, "ab" * 16, 0, 1, 7)
    largest = pack(b"x" * (limits.MAX_RECORD_BYTES - 5))
    assert len(largest) == limits.MAX_RECORD_BYTES
    data = records.encode_header(header) + records.encode_record(1, 0, largest, 1)
    found, damages = read_bytes(data)
    assert ([record.payload for record in found], damages) == ([largest], [])
    with pytest.raises(EncodingError):
        records.encode_record(1, 0, largest + b"x", 1)
