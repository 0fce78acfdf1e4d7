"""Power cuts: what was not synced is lost, page by page, and names in folders as well."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from drytorch_broker.errors import LogWriteError
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from drytorch_broker.filelog.writer import FileLog
from drytorch_schemas.packing import unpack
from drytorch_schemas.records import ENVELOPE
from uplinks import event, topic

PAGE = 4096
OPTIONS = LogOptions(segment_bytes=3 * PAGE)


class Disk:
    """Remembers what a folder would hold after a power cut."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.names: dict[str, int] = {}
        self.contents: dict[int, bytes] = {}
        self.syncs = 0
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, self._syncing(getattr(os, name)))

    def _syncing(self, real: object) -> object:
        def sync(descriptor: int) -> None:
            self.syncs += 1
            path = Path(f"/proc/self/fd/{descriptor}").resolve()
            if path == self.folder:
                files = [each for each in path.iterdir() if each.is_file()]
                self.names = {each.name: each.stat().st_ino for each in files}
            elif path.parent == self.folder:
                self.contents[os.fstat(descriptor).st_ino] = path.read_bytes()

        assert callable(real)
        return sync

    def after_the_cut(self, target: Path, chance: random.Random) -> None:
        """Make a folder as it may be after a power cut now: any page may be old or new."""
        target.mkdir()
        for path in self.folder.iterdir():
            if not path.is_file():
                continue
            durable = self.names.get(path.name) == path.stat().st_ino
            if not durable and chance.random() < 0.5:
                continue  # nobody waited for the folder: the name may be lost
            new, old = path.read_bytes(), self.contents.get(path.stat().st_ino, b"")
            (target / path.name).write_bytes(_mixed(old, new, chance))


def _mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Return a file of which any page that was not synced may be missing, or zero."""
    size = chance.choice([len(old), len(new)])
    pages = bytearray()
    for start in range(0, size, PAGE):
        fresh, stale = new[start : start + PAGE], old[start : start + PAGE]
        if start + PAGE <= len(old) or chance.random() < 0.5:
            pages += fresh if start + PAGE > len(old) else stale
        else:
            pages += stale.ljust(min(PAGE, size - start), b"\0")
    return bytes(pages[:size])


def numbers(log: FileLog) -> list[int]:
    """Return the sequence numbers that a journal holds."""
    found = log.read(0, log.durable, None, 1 << 30, 10**6).records
    return [unpack(payload)["seq"] for _, payload in found]


def write_until_cut(folder: Path, target: Path, seed: int, patch: pytest.MonkeyPatch) -> int:
    """Write a journal, cut the power at a random moment, and return what was acknowledged."""
    chance = random.Random(seed)
    disk = Disk(folder, patch)
    log = Recovery(folder, OPTIONS).open()
    acknowledged = 0
    for _ in range(chance.randrange(1, 60)):
        count = chance.randrange(1, 12)
        log.append(ENVELOPE, [event(log.head + n) for n in range(count)], [topic()] * count)
        if chance.random() < 0.1:
            log.rollback()
            continue
        log.sync()
        acknowledged = log.durable
    count = chance.randrange(12)
    if count:  # written and not synced: the power goes in the middle of a commit
        log.append(ENVELOPE, [event(log.head + n) for n in range(count)], [topic()] * count)
        patch.setattr(os, "fdatasync", _no_power)
        patch.setattr(os, "fsync", _no_power)
        with pytest.raises(LogWriteError):
            log.sync()
    disk.after_the_cut(target, chance)
    return acknowledged


def _no_power(_: int) -> None:
    raise OSError(errno.EIO, "no power")


@pytest.mark.parametrize("seed", range(40))
def test_a_power_cut_costs_nothing_acknowledged(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut at any moment everything acknowledged is there, in order, once (C2)."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with monkeypatch.context() as patch:
        acknowledged = write_until_cut(source, target, seed, patch)
    recovery = Recovery(target, OPTIONS)
    log = recovery.open()
    found = numbers(log)
    assert found == list(range(len(found)))
    assert len(found) >= acknowledged
    log.append(ENVELOPE, [event(log.head)], [topic()])
    log.sync()
    assert numbers(log) == list(range(len(found) + 1))
    log.close()
