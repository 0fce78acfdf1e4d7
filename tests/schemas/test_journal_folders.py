"""Several segments: folders, lists of files, streams of segments one after another."""

import io
import random
from pathlib import Path

import pytest

from drytorch_schemas import journal_reader
from drytorch_schemas.errors import NotAJournalError, VersionError
from drytorch_schemas.journal_reader import Damage, Positions, read, scan_positions
from drytorch_schemas.records import JOURNAL, Header, encode_header
from segments import JOURNAL_ID, Made, segment, split

OTHER_ID = "f0" * 16


@pytest.fixture
def made(tmp_path: Path) -> list[Made]:
    """Make a journal of three segments, with other files beside them."""
    parts = [segment(0, 3), segment(3, 4), segment(7, 2)]
    for part in parts:
        part.save(tmp_path)
    for name in (
        "lock",
        "endpoint.json",
        "torn-1.bytes",
        "00000000000000000003.index",
        "x.msgpack",
    ):
        (tmp_path / name).write_bytes(b"other")
    return parts


def offsets_and_damages(
    source: Path | io.BytesIO | list[Path], start: int | None = None
) -> tuple[list[int], list[Damage]]:
    """Read a source."""
    records, damages = split(list(read(source, from_offset=start)))
    return [record.offset for record in records], damages


def test_a_folder_is_read_in_order(made: list[Made], tmp_path: Path) -> None:
    """A folder gives the records of its segments in offset order, and no other file."""
    assert offsets_and_damages(tmp_path) == (list(range(9)), [])
    assert [path.name for path in journal_reader.segments(tmp_path)] == [
        f"{part.first:020}.msgpack" for part in made
    ]


def test_files_in_any_order(made: list[Made], tmp_path: Path) -> None:
    """Segments given in any order, under any names, are read in offset order."""
    paths = [tmp_path / name for name in ("b", "c", "a")]
    for path, part in zip(paths, made, strict=True):
        path.write_bytes(part.data)
    random.Random(3).shuffle(paths)
    assert offsets_and_damages(paths) == (list(range(9)), [])


def test_concatenated_segments(made: list[Made]) -> None:
    """Segments one after another are read as the folder is, with places in the whole stream."""
    stream = b"".join(part.data for part in made)
    records, damages = split(list(read(io.BytesIO(stream))))
    assert [record.offset for record in records] == list(range(9))
    assert damages == []
    ends = [len(made[0].data) + end for end in made[1].ends]
    assert [record.position for record in records[3:7]] == ends[:-1]


@pytest.mark.parametrize("start", range(11))
def test_from_an_offset(made: list[Made], tmp_path: Path, start: int) -> None:
    """Reading from an offset gives what is at and behind it, from each kind of source."""
    expected = [offset for offset in range(9) if offset >= start]
    stream = io.BytesIO(b"".join(part.data for part in made))
    for source in (tmp_path, stream, journal_reader.segments(tmp_path)):
        assert offsets_and_damages(source, start) == (expected, [])


def test_damage_before_the_offset_is_left_out(made: list[Made], tmp_path: Path) -> None:
    """Damage that costs only what was not asked for is not reported."""
    path = made[1].save(tmp_path)
    path.write_bytes(made[1].without(4))
    assert offsets_and_damages(tmp_path, 5) == ([5, 6, 7, 8], [])
    assert [damage.first_offset for damage in offsets_and_damages(tmp_path, 4)[1]] == [4]


def test_a_missing_segment(made: list[Made], tmp_path: Path) -> None:
    """A segment missing in the middle is reported with its offsets, and the rest is read (C7)."""
    (tmp_path / journal_reader.segment_name(3)).unlink()
    last = journal_reader.segment_name(7)
    expected = [Damage(0, 0, "a segment is missing", 3, 6, source=last)]
    assert offsets_and_damages(tmp_path) == ([0, 1, 2, 7, 8], expected)
    stream = io.BytesIO(made[0].data + made[2].data)
    position = len(made[0].data)
    expected = [Damage(position, 0, "a segment is missing", 3, 6)]
    assert offsets_and_damages(stream) == ([0, 1, 2, 7, 8], expected)


@pytest.mark.usefixtures("made")
def test_removed_by_retention(tmp_path: Path) -> None:
    """Segments that are missing at the beginning are no damage."""
    (tmp_path / journal_reader.segment_name(0)).unlink()
    assert offsets_and_damages(tmp_path) == ([3, 4, 5, 6, 7, 8], [])


@pytest.mark.usefixtures("made")
def test_two_segments_with_the_same_offsets(tmp_path: Path) -> None:
    """Offsets that two segments claim are given once, and the second ones reported."""
    twice = segment(5, 3)
    twice.save(tmp_path)
    found, damages = offsets_and_damages(tmp_path)
    assert found == list(range(9))
    last = segment(7, 2)
    assert [(damage.source, damage.position, damage.size) for damage in damages] == [
        (journal_reader.segment_name(5), twice.ends[0], twice.ends[2] - twice.ends[0]),
        (journal_reader.segment_name(7), last.ends[0], last.ends[1] - last.ends[0]),
    ]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(("first", "count"), [(0, 3), (3, 4), (7, 2), (9, 2)])
def test_a_segment_of_another_journal(tmp_path: Path, first: int, count: int) -> None:
    """A segment of another journal, at any place, is reported whole, and the rest is read."""
    foreign = segment(first, count, OTHER_ID)
    data = bytearray(foreign.data)
    data[foreign.ends[1] + 22] ^= 1
    path = foreign.save(tmp_path)
    path.write_bytes(data)
    found, damages = offsets_and_damages(tmp_path)
    assert found == [offset for offset in range(9) if not first <= offset < first + count]
    told = [damage for damage in damages if damage.source == path.name and damage.size]
    assert [(damage.position, damage.size) for damage in told] == [(0, len(data))]
    assert OTHER_ID in told[0].reason


def test_another_journal_in_a_stream(made: list[Made]) -> None:
    """A stream is read as the journal that it begins with."""
    stream = io.BytesIO(made[0].data + segment(3, 2, OTHER_ID).data + made[1].data)
    found, damages = offsets_and_damages(stream)
    assert found == [0, 1, 2, 3, 4, 5, 6]
    assert [damage.position for damage in damages] == [len(made[0].data)]


@pytest.mark.usefixtures("made")
def test_a_file_that_is_no_segment(tmp_path: Path) -> None:
    """In a folder, a file that is no segment costs its own records, and is named."""
    path = tmp_path / journal_reader.segment_name(3)
    path.write_bytes(b"something else")
    found, damages = offsets_and_damages(tmp_path)
    assert found == [0, 1, 2, 7, 8]
    assert next((damage.source, damage.size) for damage in damages) == (path.name, 14)
    assert (damages[1].first_offset, damages[1].last_offset) == (3, 6)


def test_torn_tail_before_the_next_segment(made: list[Made]) -> None:
    """A torn tail in front of the segment that goes on at the same offset loses nothing."""
    stream = io.BytesIO(made[0].data + made[1].data[134:150] + made[1].data)
    found, (damage,) = offsets_and_damages(stream)
    assert found == list(range(7))
    assert (damage.size, damage.torn, damage.first_offset) == (16, True, None)


def test_a_segment_that_was_just_begun(made: list[Made], tmp_path: Path) -> None:
    """A last segment whose header is not whole is a torn tail, whatever is in it."""
    whole = encode_header(Header(JOURNAL, JOURNAL_ID, 9, 1, 1))
    path = tmp_path / journal_reader.segment_name(9)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        found, (damage,) = offsets_and_damages(tmp_path)
        assert found == list(range(9))
        assert damage.torn
        assert scan_positions(path).end == 0
    path.write_bytes(whole)
    assert offsets_and_damages(tmp_path) == (list(range(9)), [])
    assert len(made) == 3


def test_no_segments(tmp_path: Path) -> None:
    """A folder without segments is named as what it is."""
    with pytest.raises(NotAJournalError, match="no journal segments"):
        list(read(tmp_path))


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is the error that Python has for it."""
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "none.msgpack"))


@pytest.mark.parametrize("place", ["first", "later"])
def test_newer_versions_are_refused(made: list[Made], tmp_path: Path, place: str) -> None:
    """A segment of a newer version is refused, with both versions named, also in the middle."""
    newer = encode_header(Header(JOURNAL, JOURNAL_ID, 9, 1, 1, version=2))
    data = newer if place == "first" else made[0].data + newer
    with pytest.raises(VersionError) as caught:
        list(read(io.BytesIO(data)))
    assert (caught.value.found, caught.value.known) == (2, 1)
    (tmp_path / journal_reader.segment_name(9)).write_bytes(newer)
    with pytest.raises(VersionError):
        list(read(tmp_path))


def test_newer_version_with_another_layout() -> None:
    """A version whose header has another layout behind the version is refused as newer."""
    with pytest.raises(VersionError):
        list(read(io.BytesIO(b"\x98\xb0drytorch-journal\xcd\x00\x02" + b"\xc0" * 100)))


def test_headers(made: list[Made], tmp_path: Path) -> None:
    """The header of a file is found also where its first copy is damaged."""
    path = tmp_path / "x"
    path.write_bytes(b"\xff" * 67 + made[1].data[67:])
    assert journal_reader.read_header(path) == Header(JOURNAL, JOURNAL_ID, 3, 80, 123)
    path.write_bytes(b"\x97\xb0drytorch-journal\xcd\x00")
    with pytest.raises(NotAJournalError):
        journal_reader.read_header(path)
    assert journal_reader.first_offset(tmp_path / "00000000000000000012.msgpack") == 12


@pytest.mark.parametrize(
    ("cut", "tail"), [(0, b""), (0, b"\0" * 50), (5, b""), (0, b"\x95\x01"), (0, b"noise" * 99)]
)
def test_positions_for_recovery(made: list[Made], tmp_path: Path, cut: int, tail: bytes) -> None:
    """Recovery learns where to cut, how much, and which offset comes next."""
    part = made[1]
    data = part.data[: len(part.data) - cut] + tail
    path = tmp_path / "segment"
    path.write_bytes(data)
    end = part.ends[-2] if cut else part.ends[-1]
    found = scan_positions(path)
    header, following = Header(JOURNAL, JOURNAL_ID, 3, 80, 123), 6 if cut else 7
    assert found == Positions(header, end, following, len(data) - end, found.damages)
    assert bool(found.damages) == bool(cut or tail)
    path.write_bytes(data[:end])
    assert scan_positions(path).damages == ()


def test_positions_of_an_empty_segment(tmp_path: Path) -> None:
    """A segment without records ends behind its header."""
    path = segment(5, 0).save(tmp_path)
    found = scan_positions(path)
    assert (found.end, found.next_offset, found.torn, found.damages) == (134, 5, 0, ())
