"""Which workers a run needs, and what each is told."""

from __future__ import annotations

import pathlib
import re
import secrets
import sys
from collections.abc import Iterable
from typing import Final

from drytorch_client.declarations import Declaration, full_target
from drytorch_client.identity import RunIdentity
from drytorch_client.workers.owed import owed_file
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_schemas.locations import logs_dir

#: Trackers that share a worker: the order of their lines on the terminal matters.
TERMINAL: Final = ("console", "progress")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_LABEL: Final = 60
_GLOB: Final = re.compile(r"([*?[])")


def plan_workers(
    declarations: Iterable[Declaration],
    identity: RunIdentity,
    *,
    broker: str,
    par_dir: pathlib.Path,
    since: int = 0,
) -> list[WorkerSpec]:
    """Return the workers of a run: one for console and progress, one for each other tracker.

    Args:
        declarations: the run's trackers.
        identity: the run.
        broker: URL of the broker.
        par_dir: folder to write under, absolute.
        since: see `WorkerSpec`.
    """
    shown = {full_target(name) for name in TERMINAL}
    together: list[Declaration] = []
    groups: list[tuple[str, list[Declaration]]] = []
    for each in declarations:
        if full_target(each.target) in shown:
            together.append(each)
        else:
            groups.append((each.name, [each]))
    if together:
        groups.insert(0, ("terminal", together))
    names = _names([label for label, _ in groups], identity.run)
    return [
        WorkerSpec(
            name=name,
            broker=broker,
            declarations=members,
            filter=_only(identity),
            par_dir=str(par_dir),
            script_dir=script_folder(),
            since=since,
            # lines on a terminal that is gone are owed to nobody
            owed="" if members is together else str(owed_file(name)),
            log_file=str(logs_dir() / f"{name}.log"),
            relay=True,
        )
        for name, (_, members) in zip(names, groups, strict=True)
    ]


def script_folder() -> str:
    """Return the folder of the user's script; the current one without a script file."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:  # `python -m` runs from here
        return str(pathlib.Path.cwd())
    return str(pathlib.Path(file).resolve().parent)


def _names(labels: list[str], run: str) -> list[str]:
    """Return a name for each worker that no other start of any run has."""
    start = secrets.token_hex(2)
    names: list[str] = []
    for label in labels:
        safe = _UNSAFE.sub("-", label)[:_MAX_LABEL].strip("-.") or "tracker"
        name = f"{safe}-{run[:8]}-{start}"
        names.append(f"{name}-{len(names)}" if name in names else name)
    return names


def _only(identity: RunIdentity) -> Filter:
    # the names are for the topics' prefix; the UUID decides
    return Filter(
        experiment=_GLOB.sub(r"[\1]", identity.experiment),
        run_id=_GLOB.sub(r"[\1]", identity.run_id),
        run=identity.run,
    )
