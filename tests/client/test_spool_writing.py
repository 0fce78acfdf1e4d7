"""The client's spool: bounds, trimming, damage, and what an adopter reads from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from drytorch_client.errors import SpoolError
from drytorch_client.orphans import AdoptedSpool
from drytorch_client.spool import Spool
from drytorch_schemas import records, spool_files
from drytorch_schemas.errors import VersionError
from drytorch_schemas.frames import array_of
from drytorch_schemas.locks import FileLock
from drytorch_schemas.spool_files import SpoolMeta

PRODUCER = "e" * 32


def make(base: Path, *, segment_bytes: int = 1, max_bytes: int = 1 << 30) -> Spool:
    """Return an open spool, by default with one batch in a segment."""
    meta = SpoolMeta(producer=PRODUCER, token=b"t" * 16, broker="tcp://h:7750", host="host", pid=1)
    spool = Spool(base, meta, max_bytes=max_bytes, segment_bytes=segment_bytes)
    spool.open()
    return spool


def fill(spool: Spool, batches: int, *, first: int = 1, count: int = 2) -> None:
    """Append batches of two events."""
    for number in range(batches):
        spool.append(first + number * count, count, array_of([b"\xc0"] * count))


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    """Batches come back from any number on, to the end of their segment."""
    spool = make(tmp_path / "s", segment_bytes=1 << 20)
    fill(spool, 5)
    assert [batch.first for batch in spool.read(1)] == [1, 3, 5, 7, 9]
    assert [batch.first for batch in spool.read(6)] == [5, 7, 9]
    assert spool.read(11) == []
    assert spool.oldest == 1
    spool.close(remove=True)


def test_trim_keeps_the_last_acknowledged_segment(tmp_path: Path) -> None:
    """A segment is removed when the one behind it is acknowledged, and never before."""
    spool = make(tmp_path / "s")
    fill(spool, 4)
    spool.trim(3)
    assert spool.oldest == 1
    spool.trim(4)
    assert spool.oldest == 3
    spool.trim(8)
    assert spool.oldest == 7
    assert len(list(spool.folder.glob("*.spool"))) == 1
    spool.close(remove=True)


def test_is_full_at_its_limit(tmp_path: Path) -> None:
    """The limit counts the bytes of all segments, and trimming makes room."""
    spool = make(tmp_path / "s", max_bytes=100)
    fill(spool, 2)
    assert not spool.full
    fill(spool, 3, first=5)
    assert spool.full
    spool.trim(8)
    assert not spool.full
    spool.close(remove=True)


def test_names_owner_and_broker_and_is_locked(tmp_path: Path) -> None:
    """The meta file tells whose it is and for whom; the lock is held until it is closed."""
    spool = make(tmp_path / "s")
    fill(spool, 1)
    meta = spool_files.read_meta(spool.folder)
    assert (meta.producer, meta.broker) == (PRODUCER, "tcp://h:7750")
    assert spool.folder.stat().st_mode & 0o077 == 0
    lock = spool_files.lock_path(spool.folder)
    assert FileLock.held_by_other(lock)
    spool.close(remove=False)
    assert not FileLock.held_by_other(lock)
    assert AdoptedSpool(spool.folder).last == 2


def test_leaves_nothing_when_all_is_acknowledged(tmp_path: Path) -> None:
    """A spool whose content is delivered vanishes with its folder and its descriptors."""
    before = psutil.Process().num_fds()
    for _ in range(20):
        spool = make(tmp_path / "s")
        fill(spool, 3)
        spool.close(remove=True)
    assert list((tmp_path / "s").iterdir()) == []
    assert psutil.Process().num_fds() == before


def test_torn_at_each_byte(tmp_path: Path) -> None:
    """A spool cut off at any byte gives all whole batches before the cut, and no error."""
    spool = make(tmp_path / "s", segment_bytes=1 << 20)
    fill(spool, 3)
    spool.close(remove=False)
    (path,) = spool.folder.glob("*.spool")
    whole = path.read_bytes()
    ends = [
        position
        for position in range(len(whole) + 1)
        if _last(spool.folder, path, whole[:position])
    ]
    sizes = {_last(spool.folder, path, whole[:position]) for position in ends}
    assert sizes == {2, 4, 6}
    assert _last(spool.folder, path, whole) == 6
    assert _last(spool.folder, path, whole[:-1]) == 4


def _last(folder: Path, path: Path, content: bytes) -> int:
    path.write_bytes(content)
    adopted = AdoptedSpool(folder)
    found = [batch.first for batch in adopted.read(1)]
    assert found == [1, 3, 5][: len(found)]
    assert adopted.last == 2 * len(found)
    return adopted.last


def test_damage_in_the_middle_costs_its_batch(tmp_path: Path) -> None:
    """A flipped bit costs the batch that it hits, and none of the others."""
    spool = make(tmp_path / "s", segment_bytes=1 << 20)
    fill(spool, 3)
    spool.close(remove=False)
    (path,) = spool.folder.glob("*.spool")
    content = bytearray(path.read_bytes())
    record = (len(content) - 2 * records.header_size(records.SPOOL)) // 3
    content[2 * records.header_size(records.SPOOL) + record + 25] ^= 1
    path.write_bytes(content)
    adopted = AdoptedSpool(spool.folder)
    assert [batch.first for batch in adopted.read(1)] == [1, 5]
    assert [batch.first for batch in adopted.read(3)] == [5]
    assert adopted.last == 6


def test_newer_format_is_refused(tmp_path: Path) -> None:
    """A spool of a newer version is not taken for an empty one."""
    spool = make(tmp_path / "s")
    fill(spool, 1)
    spool.close(remove=False)
    (path,) = spool.folder.glob("*.spool")
    header = records.Header(records.SPOOL, PRODUCER, 1, version=99)
    path.write_bytes(records.encode_header(header))
    with pytest.raises(VersionError, match="version 99"):
        AdoptedSpool(spool.folder)


def test_deleted_folder_is_noticed_and_mended(tmp_path: Path) -> None:
    """A spool whose folder was deleted reports it once, and works again after it is opened."""
    spool = make(tmp_path / "s", segment_bytes=1 << 20)
    fill(spool, 1)
    shutil.rmtree(tmp_path / "s")
    with pytest.raises(SpoolError, match="removed"):
        fill(spool, 1, first=3)
    assert spool.broken
    assert spool.survey() == 0
    spool.open()
    fill(spool, 2, first=3)
    assert [batch.first for batch in spool.read(3)] == [3, 5]
    assert FileLock.held_by_other(spool_files.lock_path(spool.folder))
    spool.close(remove=True)


def test_unwritable_place_is_an_error_of_ours(tmp_path: Path) -> None:
    """A file in the folder's place gives one sentence that names it."""
    (tmp_path / "s").write_text("in the way")
    with pytest.raises(SpoolError, match="cannot be made"):
        make(tmp_path / "s")
