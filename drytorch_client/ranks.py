"""Which process of a distributed training this is, without importing torch."""

from __future__ import annotations

import os
import sys
from typing import Any, Final, Literal

Ranks = Literal["0", "all"]

_VARIABLE: Final = "RANK"


def _process_group() -> Any:
    """Return torch.distributed where it is loaded and initialised."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not getattr(distributed, "is_available", bool)():
        return None
    return distributed if distributed.is_initialized() else None


def current_rank() -> int:
    """Return this process's rank: from the process group, else from the launcher, else 0."""
    group = _process_group()
    if group is not None:
        return int(group.get_rank())
    value = os.environ.get(_VARIABLE, "")
    return int(value) if value.isdecimal() else 0


def is_distributed() -> bool:
    """Tell whether a process group is initialised."""
    return _process_group() is not None


def from_first_rank(value: Any) -> Any:
    """Return what rank 0 passed; the value itself where there is no process group.

    All ranks must call this.

    Args:
        value: this rank's value.
    """
    group = _process_group()
    if group is None:
        return value
    box = [value]
    group.broadcast_object_list(box, src=0)
    return box[0]
