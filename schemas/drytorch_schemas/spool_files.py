"""The folder of a spool: whose it is, for which broker, and the batches in it.

    <spool folder>/<producer>/ lock, meta.msgpack, <first sequence number, 20 digits>.spool

Its owner holds the lock while it lives. Whoever holds the lock of a dead owner's folder may deliver
what is in it, under the dead producer's id and token, and then remove the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drytorch_schemas import records
from drytorch_schemas.errors import DecodingError, NotAJournalError, SchemaError, VersionError
from drytorch_schemas.folders import LOCK_FILE, private_folder
from drytorch_schemas.journal_reader import read
from drytorch_schemas.limits import FORMAT_VERSION, MAX_TOKEN_BYTES, MIN_TOKEN_BYTES
from drytorch_schemas.locks import FileLock
from drytorch_schemas.packing import pack, unpack
from drytorch_schemas.record_order import Damage, batch_count

META_FILE: Final = "meta.msgpack"
_MAX_META_BYTES: Final = 1 << 16
_SEGMENT: Final = re.compile(r"\d{20}\.spool")


class SpoolMeta(BaseModel):
    """Whose a spool is, and who it is for.

    Attributes:
        version: version of the file format.
        producer: id of the producer.
        token: its secret; the folder is private for that reason.
        broker: URL of the broker that it is for, empty for a local one.
        journal: folder of the local journal that it is for, empty for a broker by URL.
        host: name of the producer's host.
        pid: the producer's process.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    version: int = FORMAT_VERSION
    producer: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    token: Annotated[bytes, Field(min_length=MIN_TOKEN_BYTES, max_length=MAX_TOKEN_BYTES)]
    broker: str = ""
    journal: str = ""
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it was published.

    Attributes:
        first: sequence number of the first envelope.
        count: number of envelopes.
        body: a msgpack array of envelopes, the body of the uplink message.
    """

    first: int
    count: int
    body: bytes


def spool_folder(base: Path, producer: str) -> Path:
    """Return the folder of a producer's spool."""
    return base / producer


def lock_path(folder: Path) -> Path:
    """Return the file whose lock tells that a spool's owner lives."""
    return folder / LOCK_FILE


def segment_name(first: int) -> str:
    """Return the file name of the spool segment that begins with a sequence number."""
    return f"{first:020}.spool"


def spool_segments(folder: Path) -> list[Path]:
    """Return a spool's segments in the order of their sequence numbers."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))


def write_meta(folder: Path, meta: SpoolMeta) -> None:
    """Write a spool's meta file, whole or not at all, and make its private folder.

    Raises:
        LocationError: the folder cannot be made, or is not private.
        OSError: the file cannot be written.
    """
    private_folder(folder)
    draft = folder / f"{META_FILE}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pack(meta.model_dump()))
    draft.replace(folder / META_FILE)


def read_meta(folder: Path) -> SpoolMeta:
    """Return what a spool's meta file says.

    Raises:
        DecodingError: the file is damaged.
        VersionError: of a newer format version than this program reads.
        OSError: the file is not there, or cannot be read.
    """
    path = folder / META_FILE
    try:
        fields = unpack(path.read_bytes(), _MAX_META_BYTES)
        version = fields.get("version") if isinstance(fields, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise VersionError(str(path), version, FORMAT_VERSION)
        return SpoolMeta.model_validate(fields)
    except (DecodingError, ValidationError) as error:
        raise DecodingError(
            f"{path} is damaged: remove {folder} if what it holds is not needed."
        ) from error


def readable_spools(base: Path) -> Iterator[tuple[Path, SpoolMeta]]:
    """Yield the spools in a folder whose meta file can be read, in the order of their names.

    Args:
        base: the folder; where it cannot be read there are none.
    """
    with contextlib.suppress(OSError):
        for folder in sorted(base.iterdir()):
            with contextlib.suppress(OSError, SchemaError):
                yield folder, read_meta(folder)


def is_orphan(folder: Path) -> bool:
    """Tell whether a spool's owner is gone and nobody else delivers it.

    Args:
        folder: the spool's folder; False where its lock cannot be looked at.
    """
    lock = lock_path(folder)
    try:
        return lock.exists() and not FileLock.held_by_other(lock)
    except (OSError, SchemaError):
        return False


def batches(path: Path) -> Iterator[Batch | Damage]:
    """Yield the batches of one spool segment, and what is damaged.

    Args:
        path: a `.spool` file.

    Raises:
        NotAJournalError: the file is not a spool.
        VersionError: of a newer version than this program reads.
        OSError: reading failed.
    """
    for item in read(path):
        if isinstance(item, Damage):
            yield item
        elif item.kind == records.BATCH:
            yield Batch(item.offset, batch_count(item.payload), item.payload)
        elif item.kind in (records.ENVELOPE, records.NOTE):
            raise NotAJournalError(
                f"{path} is a journal and no spool: give it to `drytorch replay`."
            )


def remove_spool(folder: Path) -> None:
    """Remove a spool that was delivered; call it while holding its lock.

    The lock file goes last, so that nobody takes a half-removed folder for an orphan.

    Raises:
        OSError: something cannot be removed.
    """
    for path in folder.iterdir():
        if path.name != LOCK_FILE:
            path.unlink()
    shutil.rmtree(folder)
