"""Which workers a run needs, and what each is told."""

from __future__ import annotations

import pathlib
import re
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drytorch_client.declarations import Declaration, full_target
from drytorch_client.identity import RunIdentity
from drytorch_client.workers.owed import owed_file
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_schemas.locations import logs_dir

#: Trackers that share a worker: the order of their lines on the terminal matters.
TERMINAL: Final = ("console", "progress")
#: Trackers that share a worker because none of them has much to do: a process costs more.
FILES: Final = ("csv", "jsonl", "yaml")
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
    run_ts: str = "",
) -> list[WorkerSpec]:
    """Return the workers of a run: one for console and progress, one for the light file trackers.

    Each other tracker has its own, and so has one that only this process can hand over: it is the
    only one that could start the others again.

    Args:
        declarations: the run's trackers.
        identity: the run.
        broker: URL of the broker.
        par_dir: folder to write under, absolute.
        since: see `WorkerSpec`.
        run_ts: likewise.
    """
    groups = _groups(declarations)
    names = _names([group.label for group in groups], identity.run)
    return [
        WorkerSpec(
            name=name,
            broker=broker,
            declarations=group.members,
            filter=_only(identity),
            par_dir=str(par_dir),
            script_dir=script_folder(),
            path=search_path(),
            splits=group.splits,
            since=since,
            run_ts=run_ts,
            # lines on a terminal that is gone are owed to nobody
            owed=str(owed_file(name)) if group.owed else "",
            log_file=str(logs_dir() / f"{name}.log"),
            relay=True,
        )
        for name, group in zip(names, groups, strict=True)
    ]


def alone(spec: WorkerSpec, declaration: Declaration) -> WorkerSpec:
    """Return the worker in which a tracker goes on that has shared one: the same name each time.

    Args:
        spec: the shared worker.
        declaration: one of its trackers.
    """
    # of each kind a shared worker has at most one
    name = f"{spec.name}-{_kind(declaration, FILES)}"
    changes = {
        "name": name,
        "declarations": [declaration],
        "splits": False,
        "owed": spec.owed and str(owed_file(name)),
        "log_file": spec.log_file and str(logs_dir() / f"{name}.log"),
    }
    return spec.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class _Group:
    """Trackers of one worker."""

    label: str
    members: list[Declaration]
    splits: bool = False
    owed: bool = True


def _groups(declarations: Iterable[Declaration]) -> list[_Group]:
    shown: list[Declaration] = []
    files: dict[str, Declaration] = {}
    groups: list[_Group] = []
    for each in declarations:
        kind = _kind(each, FILES)
        if _kind(each, TERMINAL):
            shown.append(each)
        elif kind and kind not in files and not each.handed_over:
            files[kind] = each
        else:
            groups.append(_Group(each.name, [each]))
    # always in the same order: two such workers that wait for one another's folders would wait long
    light = [files[kind] for kind in sorted(files)]
    if light:
        label = "files" if len(light) > 1 else light[0].name
        groups.insert(0, _Group(label, light, splits=len(light) > 1))
    if shown:
        groups.insert(0, _Group("terminal", shown, owed=False))
    return groups


def _kind(declaration: Declaration, names: Iterable[str]) -> str:
    """Return the one of some short names that a tracker could have; empty for none of them."""
    target = full_target(declaration.target)
    return next((name for name in names if full_target(name) == target), "")


def script_folder() -> str:
    """Return the folder of the user's script; the current one without a script file."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:  # `python -m` runs from here
        return str(pathlib.Path.cwd())
    return str(pathlib.Path(file).resolve().parent)


def search_path() -> list[str]:
    """Return where this process looks for modules, as absolute paths.

    A notebook, a test or a script may have added folders, and a worker must find in them what was
    found here.
    """
    return [str(pathlib.Path(folder).absolute()) for folder in sys.path]


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
