"""Files that are either as they were or as they should be, whenever the process dies."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from drytorch_broker import failpoints


def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace a file in one step.

    Args:
        path: the file; its folder must be there.
        data: what it is to hold.
        durable: whether it must survive a power loss, too.

    Raises:
        OSError: the file is as it was.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        failpoints.hit("file.drafted")
        draft.replace(path)
        failpoints.hit("file.renamed")
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Args:
        folder: the folder.

    Raises:
        OSError: they may not be.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
