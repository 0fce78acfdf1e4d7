"""Opening a journal after deaths and accidents."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drytorch_broker.errors import JournalFormatError, LogWriteError
from drytorch_broker.filelog import durable_file
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from drytorch_broker.filelog.writer import FileLog
from drytorch_schemas import journal_reader, records
from drytorch_schemas.packing import unpack
from drytorch_schemas.records import ENVELOPE
from uplinks import event, topic

ALL = 1 << 30


def opened(folder: Path, segment_bytes: int = ALL) -> tuple[FileLog, list[str]]:
    """Open a journal, and return its log and what recovery reported."""
    recovery = Recovery(folder, LogOptions(segment_bytes))
    return recovery.open(), recovery.report


def filled(folder: Path, count: int, segment_bytes: int = ALL) -> FileLog:
    """Return an open journal with events whose number is their offset, one commit each."""
    folder.mkdir(exist_ok=True)
    log, _ = opened(folder, segment_bytes)
    for _ in range(count):
        log.append(ENVELOPE, [event(log.head)], [topic()])
        log.sync()
    return log


def numbers(log: FileLog) -> list[int]:
    """Return the sequence numbers in a journal, each of which must equal its offset."""
    found = log.read(0, ALL, None, ALL, ALL).records
    for offset, payload in found:
        assert unpack(payload)["seq"] == offset
    return [offset for offset, _ in found]


def only_segment(folder: Path) -> Path:
    """Return the path of the one segment."""
    (path,) = journal_reader.segments(folder)
    return path


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    """A segment cut off anywhere keeps every whole record, and takes new ones behind them (C4)."""
    original = tmp_path / "original"
    filled(original, 5).close()
    data = only_segment(original).read_bytes()
    header = records.header_size(records.JOURNAL)
    ends = []
    for item in journal_reader.read(only_segment(original)):
        assert isinstance(item, journal_reader.Record)
        ends.append(item.position + item.size)
    for cut in range(len(data)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / only_segment(original).name).write_bytes(data[:cut])
        log, report = opened(folder)
        whole = sum(end <= cut for end in ends)
        assert numbers(log) == list(range(whole))
        assert bool(report) == (cut not in (0, header, 2 * header, *ends))
        log.append(ENVELOPE, [event(log.head)], [topic()])
        log.sync()
        assert numbers(log) == list(range(whole + 1))
        log.close()
        shutil.rmtree(folder)


def test_a_torn_tail_is_kept_aside(tmp_path: Path) -> None:
    """What is cut off a torn tail is kept in a file, and reported with its size."""
    filled(tmp_path, 3).close()
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    (tmp_path / "durable").unlink()
    log, report = opened(tmp_path)
    log.close()
    (kept,) = tmp_path.glob("torn-*.bytes")
    assert path.read_bytes() + kept.read_bytes() == whole[:-10]
    assert kept.name in report[0]
    assert f"{kept.stat().st_size} bytes" in report[0]


@pytest.mark.parametrize(
    "tail", [b"\0" * 5000, random.Random(1).randbytes(3000), b"\x95\x01\xcf" + b"\0" * 100]
)
def test_garbage_at_the_tail(tmp_path: Path, tail: bytes) -> None:
    """Zeros or garbage behind the last record cost nothing (C5, C6)."""
    filled(tmp_path, 3).close()
    with only_segment(tmp_path).open("ab") as file:
        file.write(tail)
    log, report = opened(tmp_path)
    assert numbers(log) == [0, 1, 2]
    assert len(report) == 1
    log.close()


def test_an_acknowledged_record_that_is_gone_is_reported(tmp_path: Path) -> None:
    """A damaged last record that was acknowledged is no torn tail: its offset is not used again."""
    filled(tmp_path, 3).close()
    path = only_segment(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    log, report = opened(tmp_path)
    assert any("records 2 to 2 were acknowledged" in line for line in report)
    assert log.head == 3
    log.append(ENVELOPE, [event(3)], [topic()])
    log.sync()
    assert numbers(log) == [0, 1, 3]
    log.close()
    log, _ = opened(tmp_path)
    assert numbers(log) == [0, 1, 3]
    log.close()


def test_damage_in_the_middle_costs_the_damaged_record(tmp_path: Path) -> None:
    """A flipped byte costs one record, is reported, and the rest is served."""
    filled(tmp_path, 9).close()
    path = only_segment(tmp_path)
    for index in tmp_path.glob("*.index"):
        index.unlink()
    placed = list(journal_reader.read(path))
    middle = placed[4]
    data = bytearray(path.read_bytes())
    data[middle.position + 40] ^= 1
    path.write_bytes(data)
    log, report = opened(tmp_path)
    assert numbers(log) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert any("records 4 to 4 lost" in line for line in report)
    log.close()


def test_damage_behind_a_good_index_is_found_when_it_is_read(tmp_path: Path) -> None:
    """A record that rots while the side file still stands is not served, and is reported."""
    log = filled(tmp_path, 9)
    log.close()
    recovery = Recovery(tmp_path, LogOptions(), since=9)
    path = only_segment(tmp_path)
    middle = list(journal_reader.read(path))[4]
    data = bytearray(path.read_bytes())
    data[middle.position + 40] ^= 1
    path.write_bytes(data)
    log = recovery.open()
    assert numbers(log) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert [line.split(":")[0] for line in log.damages] == ["record 4"]
    log.close()


@pytest.mark.parametrize("name", ["*.index", "durable", "*"])
@pytest.mark.parametrize("harm", ["remove", "empty", "scramble"])
def test_side_files_are_shortcuts_only(tmp_path: Path, name: str, harm: str) -> None:
    """Side files that are missing or damaged cost a rescan, no record."""
    filled(tmp_path, 60, segment_bytes=2000).close()
    for path in tmp_path.glob(name):
        if path.suffix == ".msgpack":
            continue
        if harm == "remove":
            path.unlink()
        else:
            path.write_bytes(b"" if harm == "empty" else os.urandom(path.stat().st_size))
    log, _ = opened(tmp_path)
    assert numbers(log) == list(range(60))
    log.close()


def test_an_index_that_vanishes_while_serving(tmp_path: Path) -> None:
    """A closed segment whose side file somebody removes is read again."""
    log = filled(tmp_path, 200, segment_bytes=2000)
    for path in tmp_path.glob("*.index"):
        path.unlink()
    assert numbers(log) == list(range(200))
    log.close()


def test_a_missing_segment(tmp_path: Path) -> None:
    """A segment that is gone is reported with its offsets, the rest is served (C7)."""
    filled(tmp_path, 30, segment_bytes=2000).close()
    first, gone, after = journal_reader.segments(tmp_path)[:3]
    gone.unlink()
    log, report = opened(tmp_path)
    lost = range(journal_reader.first_offset(gone), journal_reader.first_offset(after))
    assert numbers(log) == [n for n in range(30) if n not in lost]
    assert any(f"records {lost[0]} to {lost[-1]} are missing" in line for line in report)
    assert journal_reader.first_offset(first) == 0
    log.close()


def test_two_segments_that_claim_the_same_offsets(tmp_path: Path) -> None:
    """Of two files that claim one offset the later one is served, each offset once (C8)."""
    filled(tmp_path, 30, segment_bytes=2000).close()
    paths = journal_reader.segments(tmp_path)
    shutil.copy(paths[1], tmp_path / "00000000000000000001.msgpack")
    header = records.Header(records.JOURNAL, journal_reader.read_header(paths[0]).journal, 28)
    (tmp_path / "00000000000000000028.msgpack").write_bytes(
        records.encode_header(header)
        + b"".join(records.encode_record(1, n, event(n), header.salt) for n in range(28, 33))
    )
    for index in tmp_path.glob("*.index"):
        index.unlink()
    log, report = opened(tmp_path)
    assert numbers(log) == list(range(33))
    assert any("00000000000000000001.msgpack is not served" in line for line in report)
    assert any("both claim the offsets from 28" in line for line in report)
    log.close()


def test_a_segment_of_another_journal(tmp_path: Path) -> None:
    """A segment of another journal is left where it is, reported, and not served (C9)."""
    filled(tmp_path, 3).close()
    filled(tmp_path / "other", 3).close()
    stranger = tmp_path / "00000000000000000002.msgpack"
    shutil.copy(only_segment(tmp_path / "other"), stranger)
    log, report = opened(tmp_path)
    assert numbers(log) == [0, 1, 2]
    assert any("of another journal" in line for line in report)
    assert stranger.exists()
    log.close()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A journal of a newer major version is refused with a sentence, and left alone."""
    header = records.Header(records.JOURNAL, "ab" * 16, 0, version=99)
    data = records.encode_header(header)
    (tmp_path / "00000000000000000000.msgpack").write_bytes(data)
    with pytest.raises(JournalFormatError, match="version 99"):
        opened(tmp_path)
    assert (tmp_path / "00000000000000000000.msgpack").read_bytes() == data


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    """A file with a segment's name that is none is reported, and left alone."""
    filled(tmp_path, 3).close()
    (tmp_path / "00000000000000000009.msgpack").write_bytes(b"hello" * 100)
    log, report = opened(tmp_path)
    assert numbers(log) == [0, 1, 2]
    assert any("is not served" in line for line in report)
    log.close()


def test_an_empty_journal_keeps_its_id(tmp_path: Path) -> None:
    """A journal that holds nothing yet is the same journal after a restart."""
    ids = set()
    for _ in range(3):
        log, _ = opened(tmp_path)
        ids.add(log.journal_id)
        log.close()
    assert len(ids) == 1


def test_a_removed_journal_is_another_one(tmp_path: Path) -> None:
    """When somebody removed the segments the journal begins anew, under another id."""
    log = filled(tmp_path, 3)
    log.close()
    only_segment(tmp_path).unlink()
    again, _ = opened(tmp_path)
    assert again.journal_id != log.journal_id
    assert (again.start, again.head) == (0, 0)
    again.close()


WRITER = """
import os, sys
from pathlib import Path
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from uplinks import event, topic
log = Recovery(Path(sys.argv[1]), LogOptions(20_000)).open()
while True:
    count = log.head % 7 + 1
    log.append(1, [event(log.head + n) for n in range(count)], [topic()] * count)
    log.sync()
    os.write(1, log.durable.to_bytes(8, "big"))
"""


@pytest.mark.parametrize("amount", [1, 50, 400])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, amount: int) -> None:
    """After kill -9 of a writing process everything that it said was durable is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "support")},
    )
    assert process.stdout is not None
    said = [process.stdout.read(8) for _ in range(amount)]
    process.send_signal(signal.SIGKILL)
    said += [rest for rest in [process.stdout.read()[-8:]] if rest]
    process.stdout.close()
    process.wait()
    log, _ = opened(tmp_path)
    assert numbers(log) == list(range(log.head))
    assert log.head >= int.from_bytes(said[-1], "big")
    log.close()


STEPS = ("pwrite", "fdatasync", "fsync", "open", "truncate", "replace", "unlink")
STUMBLING = """
import os, signal, sys
from pathlib import Path
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from uplinks import event, topic
folder, step, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
real = getattr(os, step)
def dying(*args, **kwargs):
    global left
    left -= 1
    if left == 0:
        if step == "pwrite":
            real(args[0], bytes(args[1])[: len(args[1]) // 2], args[2])
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(os, step, dying)
log = Recovery(folder, LogOptions(1500)).open()
while log.head < 60:
    log.append(1, [event(log.head)], [topic()])
    log.sync()
    os.write(1, log.durable.to_bytes(8, "big"))
log.trim(20)
log.close()
"""


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(tmp_path: Path, step: str) -> None:
    """Killed at any call that changes the disk, time and again, a journal loses nothing."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "support")}
    durable = 0
    for left in (1, 2, 5, 11, 23):
        command = [sys.executable, "-c", STUMBLING, str(tmp_path), step, str(left)]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
        durable = int.from_bytes(done.stdout[-8:], "big") if done.stdout else durable
    log, _ = opened(tmp_path, 1500)
    assert log.head >= durable
    assert numbers(log) == list(range(log.start, log.head))
    log.close()


def test_a_failed_fsync_is_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After EIO from fdatasync the file is not synced again: a new segment follows (C10)."""
    log = filled(tmp_path, 3)
    before = only_segment(tmp_path)
    log.append(ENVELOPE, [event(3)], [topic()])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _fail)
        with pytest.raises(LogWriteError):
            log.sync()
    log.rollback()
    assert (log.head, log.durable, numbers(log)) == (3, 3, [0, 1, 2])
    size = before.stat().st_size
    log.append(ENVELOPE, [event(3), event(4)], [topic()] * 2)
    log.sync()
    assert before.stat().st_size == size
    assert len(journal_reader.segments(tmp_path)) == 2
    assert numbers(log) == [0, 1, 2, 3, 4]
    log.close()
    again, report = opened(tmp_path)
    assert (numbers(again), report) == ([0, 1, 2, 3, 4], [])
    again.close()


def test_a_failed_fsync_of_a_first_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first commit of a segment fails its file goes, and the next one has the name."""
    log = filled(tmp_path, 0)
    log.append(ENVELOPE, [event(0)], [topic()])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _fail)
        with pytest.raises(LogWriteError):
            log.sync()
    log.rollback()
    assert journal_reader.segments(tmp_path) == []
    log.append(ENVELOPE, [event(0)], [topic()])
    log.sync()
    assert numbers(log) == [0]
    log.close()


def test_a_half_written_commit_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fills up in the middle of a write, the half is cut off before the next."""
    log = filled(tmp_path, 3)
    log.append(ENVELOPE, [event(3), event(4)], [topic()] * 2)
    real = os.pwrite
    with monkeypatch.context() as patch:
        calls: list[int] = []

        def half(descriptor: int, data: bytes, position: int) -> int:
            if calls:
                raise OSError(errno.ENOSPC, "No space left on device")
            calls.append(real(descriptor, bytes(data)[: len(data) // 2], position))
            return calls[0]

        patch.setattr(os, "pwrite", half)
        with pytest.raises(LogWriteError) as caught:
            log.sync()
    assert caught.value.full
    log.rollback()
    log.append(ENVELOPE, [event(3)], [topic()])
    log.sync()
    assert numbers(log) == [0, 1, 2, 3]
    assert len(journal_reader.segments(tmp_path)) == 1
    log.close()
    assert all(isinstance(item, journal_reader.Record) for item in journal_reader.read(tmp_path))


def test_the_limit_acts_as_a_full_disk(tmp_path: Path) -> None:
    """At its hard limit the log takes nothing more, serves what it has, and deletes nothing."""
    recovery = Recovery(tmp_path, LogOptions(max_bytes=1000))
    log = recovery.open()
    for _ in range(3):
        log.append(ENVELOPE, [event(log.head)], [topic()])
        log.sync()
    log.append(ENVELOPE, [event(log.head)], [topic()])
    with pytest.raises(LogWriteError) as caught:
        log.sync()
    assert caught.value.full
    log.rollback()
    assert numbers(log) == [0, 1, 2]
    assert log.size <= 1000
    log.close()


def test_the_durable_file_is_checked(tmp_path: Path) -> None:
    """The side file with the acknowledged offset is read back, and not believed when damaged."""
    file = durable_file.DurableFile(tmp_path, "ab" * 16)
    file.write(77)
    file.close()
    assert durable_file.read(tmp_path) == ("ab" * 16, 77)
    data = (tmp_path / "durable").read_bytes()
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 1
        (tmp_path / "durable").write_bytes(bad)
        assert durable_file.read(tmp_path) is None


def _fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")
