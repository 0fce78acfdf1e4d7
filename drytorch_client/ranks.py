"""Which process of a distributed training this is, without importing torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

from drytorch_client.errors import FirstRankError

ResultT = TypeVar("ResultT")
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


def from_first_rank(make: Callable[[], ResultT]) -> ResultT:
    """Return what rank 0 makes; where there is no process group each process makes its own.

    All ranks must call this. What goes wrong in rank 0 is raised in all of them: none waits for a
    value that never comes.

    Args:
        make: makes the value; called in rank 0 only, where there is a process group.

    Raises:
        ClientError: what `make` raised in rank 0.
    """
    group = _process_group()
    if group is None:
        return make()
    box: list[Any] = [None, None]
    if group.get_rank() == 0:
        try:
            box[0] = make()
        except BaseException as error:
            # as text: an error of any class may not be picklable
            box[1] = f"{type(error).__name__}: {error}"
            group.broadcast_object_list(box, src=0)
            raise
    group.broadcast_object_list(box, src=0)
    if box[1] is not None:
        raise FirstRankError(f"Rank 0 could not go on: {box[1]}")
    made: ResultT = box[0]
    return made


def wait_for_all(device: int | None = None) -> None:
    """Wait until all ranks are here; nothing happens where there is no process group.

    Args:
        device: index of the accelerator that this rank works on, None without one.
    """
    group = _process_group()
    if group is not None:
        group.barrier(**({} if device is None else {"device_ids": [device]}))
