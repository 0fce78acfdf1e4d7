"""`drytorch sync`: finish what killed processes left behind on this host."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters
from drytorch_trackers.wording import plural

if TYPE_CHECKING:
    from drytorch_client.workers.supervisor import LocalWorker

SETTINGS: Final[Mapping[str, Any]] = {
    "name": "sync",
    "short_help": "Deliver what dead trainings left behind.",
}
EPILOG: Final = """\b
Examples:
  drytorch sync
  drytorch sync --wait 600
  drytorch sync --list
  drytorch sync /media/cluster/spool --broker tcp://127.0.0.1:7750
"""
_HEADER: Final = ("PRODUCER", "HOST", "PID", "STATE", "EVENTS", "BYTES", "BROKER")


def command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]", help="Spools from another host: only they are delivered."
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="Longest wait for all of it."),
    ] = 30.0,
    listing: Annotated[bool, typer.Option("--list", help="Only list the spools.")] = False,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker", metavar="URL", help="Deliver to this broker, whichever was meant."
        ),
    ] = None,
    json: parameters.Json = False,
) -> int:
    """Deliver what dead trainings spooled, and start trackers that still have something to do.

    Each goes to the broker that it was meant for; this user's own one is started. What takes
    longer goes on in the background. Spools in FOLDER were brought from elsewhere: they go to
    --broker, or to this user's own one, and are left as they are.
    """
    if listing:
        return _list(folder, as_text=not json)
    if folder is None and broker is None:
        return _sync(wait)
    return _deliver(folder, broker, time.monotonic() + wait)


def _list(folder: Path | None, *, as_text: bool) -> int:
    from drytorch_trackers.cli import display, spools

    rows = spools.rows(folder)
    if as_text and rows:
        cells = [
            (
                row["producer"][:8],
                *(row[name] for name in ("host", "pid")),
                "alive" if row["alive"] else "dead",
                *(row[name] for name in ("events", "bytes", "broker")),
            )
            for row in rows
        ]
        print(display.table(_HEADER, cells))
    elif as_text:
        print("No spools.")
    else:
        print(display.as_json(rows))
    return exit_codes.OK


def _deliver(folder: Path | None, broker: str | None, until: float) -> int:
    """Deliver where the user says, and nothing else."""
    from drytorch_client.broker_address import local_broker_runs, local_endpoint
    from drytorch_schemas.endpoint import Endpoint
    from drytorch_trackers.cli import spools

    endpoint = local_endpoint() if broker is None else Endpoint.from_url(broker)
    found = spools.orphans() if folder is None else spools.carried(folder)
    if broker is None and not local_broker_runs():
        spools.start_local_broker()
        endpoint = local_endpoint()
    left = spools.deliver_to(found, endpoint, until, keep=folder is not None)
    kept = "" if folder is None else f"; {folder} is left as it is"
    print(f"{plural(len(found) - len(left), 'spool')} delivered to {endpoint.url}{kept}.")
    for each in left:
        _say(each)
    return exit_codes.UNAVAILABLE if left else exit_codes.OK


def _sync(wait: float) -> int:
    """Finish what was left behind on this host."""
    from drytorch_client.workers import owed
    from drytorch_trackers.cli import spools

    until = time.monotonic() + wait
    found = spools.orphans()
    # a worker whose training was killed with the broker has nobody else who starts one
    waiting = list(owed.pending(at_work=True))
    if spools.needs_local_broker(found, [each.spec.broker for each in waiting]):
        spools.start_local_broker()
    left = spools.deliver(found, until)
    workers = _start()
    running = _wait(workers, until)
    _name_handed_over()
    _tell(len(found), len(left), workers, running)
    for each in left:
        _say(each)
    if left:
        return exit_codes.UNAVAILABLE
    codes = [each.exit_code or exit_codes.OK for each in workers]
    return max((code for code in codes if code != exit_codes.TAKEN), default=exit_codes.OK)


def _start() -> list[LocalWorker]:
    from drytorch_client.workers import owed
    from drytorch_client.workers.supervisor import local_supervisor

    pending = [each for each in owed.pending() if each.spec.startable]
    return [local_supervisor().start(each.spec, quiet=True) for each in pending]


def _name_handed_over() -> None:
    """Name the workers whose tracker is defined in a script: what was handed over is in no file."""
    from drytorch_client.workers import owed

    for each in owed.pending():
        if not each.spec.startable:
            trackers = " and ".join(tracker.target for tracker in each.spec.declarations)
            _say(
                f"Worker {each.spec.name} needs {trackers} of a training's script, and only that "
                f"training starts it again; if it is gone, put the class into a module, give it "
                f"the run by `drytorch replay`, and remove {each.file}."
            )


def _wait(workers: list[LocalWorker], until: float) -> list[LocalWorker]:
    """Wait for workers, and return those that go on in the background."""
    from drytorch_client.workers.supervisor import local_supervisor

    if not workers:
        return []
    return local_supervisor().wait(workers, max(until - time.monotonic(), 0.0))


def _tell(found: int, left: int, workers: list[LocalWorker], running: list[LocalWorker]) -> None:
    if not found and not workers:
        print("Nothing is left to deliver.")
        return
    delivered, ended = plural(found - left, "spool"), plural(len(workers) - len(running), "worker")
    print(f"{delivered} delivered, {ended} ended.")
    for each in workers:
        if each in running:
            _say(f"Worker {each.spec.name} goes on in the background: see `drytorch workers`.")
        elif each.exit_code == exit_codes.TAKEN:  # another `drytorch sync`, most likely
            _say(f"Worker {each.spec.name} is at work in another process.")
        elif each.exit_code:
            _say(f"Worker {each.spec.name} ended with {each.exit_code}: see {each.spec.log_file}.")


def _say(text: str) -> None:
    from drytorch_trackers.terminal import printable

    print(f"drytorch sync: {printable(text)}", file=sys.stderr)
