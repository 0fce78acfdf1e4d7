"""Records from journal files, whole, torn, damaged, or no journals at all."""

import io
import random
from pathlib import Path

import pytest

from drytorch_schemas.locks import FileLock
from drytorch_trackers import exit_codes
from drytorch_trackers.errors import WorkError
from drytorch_trackers.journal_files import JournalFiles
from feeding import Run
from journal_making import segment, write_journal


def offsets(files: JournalFiles) -> list[int]:
    """Read everything and return the offsets."""
    return [offset for offset, _ in files]


def test_files_a_folder_and_a_stream_give_the_same(tmp_path: Path) -> None:
    """Segments in any order, their folder, and their concatenation hold the same records (E7)."""
    payloads = Run().whole(50)
    paths = write_journal(tmp_path / "journal", payloads, per_segment=20)
    stream = b"".join(path.read_bytes() for path in paths)
    joined = tmp_path / "joined.msgpack"
    joined.write_bytes(stream)
    for files in (
        JournalFiles(paths),
        JournalFiles(paths[::-1]),
        JournalFiles([*paths, paths[0]]),
        JournalFiles([tmp_path / "journal"]),
        JournalFiles([joined]),
        JournalFiles([Path("-")], io.BytesIO(stream)),
    ):
        assert [payload for _, payload in files] == payloads
        assert files.damages == []
        assert files.done <= files.size or not files.size


def test_two_journals_one_after_the_other(tmp_path: Path) -> None:
    """Journals that are named together are read one by one, each in its order."""
    one = write_journal(tmp_path / "one", Run(1).whole(2), 2, journal="01" * 16)
    two = write_journal(tmp_path / "two", Run(2).whole(2), 2, journal="02" * 16)
    mixed = [one[1], two[0], one[0], two[2], two[1], one[2]]
    assert offsets(JournalFiles(mixed)) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


def test_a_torn_tail_is_told_unless_its_broker_lives(tmp_path: Path) -> None:
    """All whole records are given; the torn one is damage only where nobody is writing it."""
    (path,) = write_journal(tmp_path, Run().whole(5))
    path.write_bytes(path.read_bytes()[:-3])
    files = JournalFiles([path])
    assert offsets(files) == list(range(7))
    assert path.name in files.describe_damage()
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    living = JournalFiles([path])
    assert offsets(living) == list(range(7))
    assert living.damages == []
    lock.release()


def test_damage_in_the_middle_costs_what_it_hit(tmp_path: Path) -> None:
    """A flipped bit costs one record; the sentence names file, place and offset (E4)."""
    (path,) = write_journal(tmp_path, Run().whole(20))
    data = bytearray(path.read_bytes())
    at = data.find(b"loss", len(data) // 2)
    data[at] ^= 1
    path.write_bytes(data)
    files = JournalFiles([path])
    got = offsets(files)
    assert len(got) == 22
    (lost,) = set(range(23)) - set(got)
    assert f"offsets {lost} to {lost} are lost" in files.describe_damage()
    assert "\n" not in files.describe_damage()


def test_a_missing_segment_is_told(tmp_path: Path) -> None:
    """A segment that is not there costs its records, which are named."""
    paths = write_journal(tmp_path, Run().whole(17), per_segment=5)
    paths[1].unlink()
    files = JournalFiles([tmp_path])
    assert offsets(files) == [*range(5), *range(10, 20)]
    assert "offsets 5 to 9 are lost" in files.describe_damage()


def test_much_damage_is_counted_and_not_kept(tmp_path: Path) -> None:
    """Of a thousand damaged places a hundred are kept, and all are counted."""
    whole = segment(Run().whole(2000))
    data = bytearray(whole)
    for at in range(len(data) // 20, len(data), len(data) // 1000):
        data[at] ^= 0xFF
    path = tmp_path / "bad.msgpack"
    path.write_bytes(data)
    files = JournalFiles([path])
    offsets(files)
    assert len(files.damages) == 100
    assert files.damage_count > 500
    assert f"(and {files.damage_count - 1} more)" in files.describe_damage()


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, exit_codes.NO_INPUT, "no file"),
        (b"", exit_codes.DATA, "no readable header"),
        (b"a,b\r\n", exit_codes.DATA, "not a journal"),
        (b"\x1f\x8b\x08\x00", exit_codes.DATA, "gunzip"),
        (bytes(100), exit_codes.DATA, "no readable header"),
        (random.Random(1).randbytes(5000), exit_codes.DATA, "not a journal"),
    ],
    ids=["gone", "empty", "csv", "gzip", "zeros", "noise"],
)
def test_what_is_no_journal(tmp_path: Path, content: bytes | None, code: int, words: str) -> None:
    """Anything else is refused before a tracker sees it, with a sentence and a code (E7)."""
    path = tmp_path / "x.msgpack"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkError, match=words) as caught:
        offsets(JournalFiles([path]))
    assert caught.value.exit_code == code
    assert str(path) in str(caught.value)
    if content is not None and not content.strip(b"\0"):
        stream = JournalFiles([Path("-")], io.BytesIO(content))
        assert offsets(stream) == []
        assert stream.damages
    elif content is not None:
        with pytest.raises(WorkError) as caught:
            offsets(JournalFiles([Path("-")], io.BytesIO(content)))
        assert caught.value.exit_code == code


def test_an_empty_folder_and_a_mix_with_stdin(tmp_path: Path) -> None:
    """A folder without segments is no input, and `-` stands alone."""
    with pytest.raises(WorkError, match="no segment") as caught:
        JournalFiles([tmp_path])
    assert caught.value.exit_code == exit_codes.NO_INPUT
    with pytest.raises(WorkError, match="Standard input") as caught:
        JournalFiles([Path("-"), tmp_path])
    assert caught.value.exit_code == exit_codes.USAGE
