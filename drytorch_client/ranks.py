"""Which process of a distributed training this is, without importing torch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final, Literal, get_args

from drytorch_client.errors import FirstRankError, OptionError

Ranks = Literal["0", "all"]

_VARIABLE: Final = "RANK"


def check(ranks: Any) -> None:
    """Refuse what names no ranks.

    Args:
        ranks: what a user gave.

    Raises:
        OptionError: it is neither `0` nor `all`.
    """
    if ranks not in get_args(Ranks):
        raise OptionError(
            f"Option ranks cannot be {ranks!r}: use one of {', '.join(get_args(Ranks))}."
        )


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


def from_first_rank(key: str, make: Callable[[], list[Any]]) -> list[Any]:
    """Return what rank 0 makes; where there is no process group each process makes its own.

    Rank 0 leaves it in the group's store and goes on: it waits for nobody, so that a script may
    also call this in rank 0 alone. The others wait until it is there. What goes wrong in rank 0 is
    raised in all of them.

    Args:
        key: what is made, by the same name in all ranks.
        make: makes plain data; called in rank 0 only, where there is a process group.

    Raises:
        FirstRankError: `make` has raised in rank 0, and this is another rank.
    """
    group = _process_group()
    if group is None:
        return make()
    store = _store()
    if group.get_rank() == 0:
        try:
            made = make()
        except BaseException as error:
            store.set(key, json.dumps({"error": f"{type(error).__name__}: {error}"}))
            raise
        store.set(key, json.dumps({"made": made}))
        return made
    told: dict[str, Any] = json.loads(store.get(key))
    if "error" in told:
        raise FirstRankError(f"Rank 0 could not go on: {told['error']}")
    found: list[Any] = told["made"]
    return found


def _store() -> Any:
    """Return the store by which the processes of the group have found one another."""
    # torch has no public way to it; unlike a broadcast it needs no device, and rank 0 never waits
    return sys.modules["torch.distributed.distributed_c10d"]._get_default_store()  # noqa: SLF001


def wait_for_all(device: int | None = None) -> None:
    """Wait until all ranks are here; nothing happens where there is no process group.

    Args:
        device: index of the accelerator that this rank works on, None without one.
    """
    group = _process_group()
    if group is not None:
        group.barrier(**({} if device is None else {"device_ids": [device]}))
