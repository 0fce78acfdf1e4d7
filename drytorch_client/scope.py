"""The run that is active in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from drytorch_client.errors import NestedScopeError

if TYPE_CHECKING:
    from drytorch_client.run import Run


class _Scope:
    """Holds the active run. A forked child may report to it, and start a run of its own."""

    run: Run[Any] | None = None
    pid: int = 0


_SCOPE: Final = _Scope()


def current_run() -> Run[Any] | None:
    """Return the active run, where there is one."""
    return _SCOPE.run


def enter(run: Run[Any]) -> None:
    """Make a run the active one.

    Args:
        run: the run that starts.

    Raises:
        NestedScopeError: another run of this process is active.
    """
    active = _SCOPE.run
    if active is not None and _SCOPE.pid == os.getpid():
        raise NestedScopeError(
            f"Run {run.id} cannot start while run {active.id} of experiment "
            f"{active.experiment_name} is active: stop that one first."
        )
    _SCOPE.run, _SCOPE.pid = run, os.getpid()


def enter_if_none(run: Run[Any]) -> None:
    """Make a run the active one, unless there is one.

    Args:
        run: a run that another process has started.
    """
    if _SCOPE.run is None:
        _SCOPE.run, _SCOPE.pid = run, os.getpid()


def leave(run: Run[Any]) -> None:
    """Make no run the active one, where this one is.

    Args:
        run: the run that stops.
    """
    if _SCOPE.run is run:
        _SCOPE.run = None
