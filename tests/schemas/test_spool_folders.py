"""Spool folders: whose they are, and the batches in them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import frames, records, spool_files
from drytorch_schemas.errors import (
    DecodingError,
    EncodingError,
    LocationError,
    NotAJournalError,
    VersionError,
)
from drytorch_schemas.locks import FileLock
from drytorch_schemas.packing import pack, unpack
from drytorch_schemas.record_order import Damage
from drytorch_schemas.records import Header
from drytorch_schemas.spool_files import Batch, SpoolMeta
from segments import segment
from wire_values import of_model

META = SpoolMeta(
    producer="ab" * 16, token=b"t" * 16, broker="tcp://h:7750", journal="", host="h", pid=3
)


def body(count: int) -> bytes:
    """Return the body of a batch."""
    return frames.array_of([pack({"n": number}) for number in range(count)])


def spool(counts: list[int], first: int = 1) -> tuple[bytes, list[Batch]]:
    """Return a spool segment with batches of so many envelopes, and the batches."""
    data = records.encode_header(Header(records.SPOOL, META.producer, first, 9, 1))
    made = []
    for count in counts:
        made.append(Batch(first, count, body(count)))
        data += records.encode_record(records.BATCH, first, body(count), 9)
        first += count
    return data, made


@settings(max_examples=40, deadline=None)
@given(of_model(SpoolMeta))
def test_meta_survives_msgpack(meta: SpoolMeta) -> None:
    """The meta file's content, with any values, is the same after msgpack."""
    assert SpoolMeta.model_validate(unpack(pack(meta.model_dump()))) == meta


def test_meta_files(tmp_path: Path) -> None:
    """The meta file makes its private folder, is whole, for its owner, and can be replaced."""
    folder = spool_files.spool_folder(tmp_path / "spool", META.producer)
    for meta in (META, META.model_copy(update={"pid": 4})):
        spool_files.write_meta(folder, meta)
        assert spool_files.read_meta(folder) == meta
    assert folder.stat().st_mode & 0o077 == 0
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_missing_meta(tmp_path: Path) -> None:
    """A folder without a meta file is the error that Python has for it."""
    with pytest.raises(FileNotFoundError):
        spool_files.read_meta(tmp_path)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", pack([]), pack({}), pack(META.model_dump() | {"token": "text"}), bytes(1 << 17)],
    ids=lambda data: data[:8].hex() or "empty",
)
def test_damaged_meta(tmp_path: Path, data: bytes) -> None:
    """A damaged meta file is named in one sentence with its folder."""
    (tmp_path / spool_files.META_FILE).write_bytes(data)
    with pytest.raises(DecodingError, match=str(tmp_path)):
        spool_files.read_meta(tmp_path)


def test_newer_meta(tmp_path: Path) -> None:
    """A meta file of a newer version is refused as newer, whatever else it says."""
    (tmp_path / spool_files.META_FILE).write_bytes(pack({"version": 2, "owner": 1}))
    with pytest.raises(VersionError):
        spool_files.read_meta(tmp_path)


def test_newer_fields_are_ignored(tmp_path: Path) -> None:
    """A field that a newer writer adds does no harm."""
    (tmp_path / spool_files.META_FILE).write_bytes(pack(META.model_dump() | {"later": 1}))
    assert spool_files.read_meta(tmp_path) == META


def test_meta_in_a_folder_that_others_may_enter(tmp_path: Path) -> None:
    """The secret is not written where others may look."""
    tmp_path.chmod(0o755)
    with pytest.raises(LocationError):
        spool_files.write_meta(tmp_path, META)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=6), st.integers(1, 2**50))
def test_batches_survive(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], first: int
) -> None:
    """Batches come out as they were written, with first number and count."""
    data, made = spool(counts, first)
    path = tmp_path_factory.mktemp("spool") / spool_files.segment_name(first)
    path.write_bytes(data)
    assert list(spool_files.batches(path)) == made


def test_segments_in_order(tmp_path: Path) -> None:
    """Only spool files count, in the order of their numbers; a missing folder has none."""
    names = [spool_files.segment_name(first) for first in (1, 2, 10, 10**19)]
    for name in (*names[::-1], "lock", "1.spool", "meta.msgpack", "x.spool"):
        (tmp_path / name).touch()
    assert [path.name for path in spool_files.spool_segments(tmp_path)] == names
    assert spool_files.spool_segments(tmp_path / "none") == []


def test_torn_at_every_byte(tmp_path: Path) -> None:
    """A spool torn in its last batch gives all others, and tells the tail."""
    data, made = spool([2, 3, 1])
    path = tmp_path / "s"
    last = len(spool([2, 3])[0])
    for size in range(last + 1, len(data)):
        path.write_bytes(data[:size])
        items = list(spool_files.batches(path))
        assert items[:-1] == made[:2]
        assert items[-1] == Damage(
            last, size - last, "the end is torn", 6, None, torn=True, source="s"
        )


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """A damaged batch costs itself, and its sequence numbers are told."""
    data, made = spool([2, 3, 1])
    damaged = bytearray(data)
    damaged[len(spool([2])[0]) + 30] ^= 1
    path = tmp_path / "s"
    path.write_bytes(damaged)
    first, damage, last = spool_files.batches(path)
    assert (first, last) == (made[0], made[2])
    assert isinstance(damage, Damage)
    assert (damage.first_offset, damage.last_offset) == (3, 5)


def test_gaps_are_no_damage(tmp_path: Path) -> None:
    """Batches that were acknowledged before they reached the spool leave no damage."""
    data, _ = spool([2])
    data += records.encode_record(records.BATCH, 9, body(1), 9)
    path = tmp_path / "s"
    path.write_bytes(data)
    assert list(spool_files.batches(path)) == [Batch(1, 2, body(2)), Batch(9, 1, body(1))]


def test_a_journal_is_no_spool(tmp_path: Path) -> None:
    """A journal's segment is named as what it is."""
    path = tmp_path / "s"
    path.write_bytes(segment(0, 2).data)
    with pytest.raises(NotAJournalError, match="journal"):
        list(spool_files.batches(path))


def test_removal(tmp_path: Path) -> None:
    """A delivered spool is removed whole while its lock is held, and the lock goes last."""
    folder = tmp_path / META.producer
    spool_files.write_meta(folder, META)
    (folder / spool_files.segment_name(1)).write_bytes(spool([1])[0])
    lock = FileLock(spool_files.lock_path(folder))
    assert lock.acquire()
    spool_files.remove_spool(folder)
    assert not folder.exists()
    lock.release()


def test_impossible_records() -> None:
    """A batch larger than a reader takes is never written."""
    value: Any = b"x" * (4 << 20)
    with pytest.raises(EncodingError):
        records.encode_record(records.BATCH, 1, value, 9)
