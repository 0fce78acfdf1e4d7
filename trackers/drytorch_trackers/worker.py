"""A worker's process: reads what it is told from stdin, feeds its trackers, and leaves with a code.

Started by the training process, or by `drytorch sync`, as
`python -P -m drytorch_trackers.worker --name NAME --par-dir DIR`; these two options are for `ps`.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers import owed
from drytorch_client.workers.spec import SPLIT_CODE, WorkerSpec
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.locks import FileLock
from drytorch_trackers import console_records, exit_codes
from drytorch_trackers.errors import SourceAwayError, TrackersError, WorkError
from drytorch_trackers.hosting import Host, Notices, Say, build, run, split
from drytorch_trackers.sharing import Sharing
from drytorch_trackers.terminal import printable
from drytorch_trackers.worker_output import BoundedLog, install, log_to, remove_old_logs

log = logging.getLogger("drytorch_worker")

_STDIN: Final = 0


def main() -> int:
    """Run a local worker to its end and return the exit code."""
    options = _parse()
    leaving = threading.Event()
    _set_signals(leaving)
    try:
        spec = WorkerSpec.from_bytes(sys.stdin.buffer.read())
    except WorkerSpecError as error:
        print(f"drytorch worker: {error}", file=sys.stderr)  # noqa: T201  # no log is known yet
        return exit_codes.USAGE
    _prepare(spec)
    if options.records is not None:
        console_records.forward_to(options.records)
    warn = _warner(spec.name)
    try:
        return _run(spec, leaving, Notices(note=log.info, warn=warn))
    except (TrackersError, SchemaError) as error:
        warn(str(error))
        return getattr(error, "exit_code", exit_codes.CONFIG)
    except Exception:
        log.exception("a defect of drytorch-bus")
        warn("stopped by a defect of drytorch-bus, described in its log file")
        return exit_codes.SOFTWARE


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="drytorch_trackers.worker",
        description="A worker of drytorch-bus, started by a training; use `drytorch track`.",
    )
    parser.add_argument("--name", required=True, help="name under which the cursor is kept")
    parser.add_argument("--par-dir", required=True, help="folder to write under")
    parser.add_argument("--records", type=int, help="descriptor that takes the console's lines")
    return parser.parse_args()


def _set_signals(leaving: threading.Event) -> None:
    # Ctrl-C and a closed terminal are for the training: what it emitted is still to be handled
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: leaving.set())


def _prepare(spec: WorkerSpec) -> None:
    """Take care of the output, and of what a user's tracker may look at."""
    log_file = BoundedLog(Path(spec.log_file or os.devnull))
    install(log_file)
    log_to(log, log_file)
    if spec.log_file:
        remove_old_logs(Path(spec.log_file).parent)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, _STDIN)
    os.close(null)
    for folder in (*spec.path, spec.script_dir):
        if folder and folder not in sys.path:
            # last, so that a user's own `events.py` hides no module of a library
            sys.path.append(folder)


def _warner(name: str) -> Say:
    def warn(text: str) -> None:
        log.warning("%s", text)
        try:
            print(f"drytorch worker {name}: {printable(text)}", file=sys.stderr)  # noqa: T201  # its voice
        except (OSError, ValueError):
            return

    return warn


def _run(spec: WorkerSpec, leaving: threading.Event, notices: Notices) -> int:
    lock = _claim(spec)
    first = os.getppid()
    host = Host(
        leaving=leaving,
        notices=notices,
        # process 1 takes in whoever lost its parent before it could look
        orphaned=lambda: first == 1 or os.getppid() != first,
    )
    sharing = Sharing(spec)
    try:
        code = _split(sharing, host, lock) if sharing.begin() else _work(sharing, host, lock)
    except (TrackersError, SchemaError):
        sharing.end()
        raise
    return code


def _split(sharing: Sharing, host: Host, lock: FileLock | None) -> int:
    """Part trackers that went down together; they are started as workers of their own."""
    try:
        split(sharing, host)
    except SourceAwayError:
        return exit_codes.UNAVAILABLE
    host.notices.warn("died twice: each of its trackers goes on in a worker of its own")
    owed.settle(sharing.spec, lock)
    return SPLIT_CODE


def _work(sharing: Sharing, host: Host, lock: FileLock | None) -> int:
    trackers, unusable = build(sharing.spec.declarations, host.notices.warn)
    code, done = run(sharing.spec, host, trackers, sharing)
    if unusable and code == exit_codes.OK:
        code = exit_codes.DEAD_LETTERS
    spec = sharing.spec
    if not spec.owed:
        return code
    if not spec.declarations or (done and not unusable):
        owed.settle(spec, lock)
    elif code == exit_codes.DEAD_LETTERS:
        _say_why(spec, "a tracker stopped with errors")
    else:
        sharing.end()
    return code


def _claim(spec: WorkerSpec) -> FileLock | None:
    if not spec.owed:
        return None
    try:
        lock = owed.claim(spec)
    except OSError as error:
        raise WorkError(
            f"The owed list at {Path(spec.owed).parent} cannot be used ({error.strerror}).",
            exit_codes.IO,
        ) from error
    if lock is None:
        raise WorkError("Another process does this worker's work already.", exit_codes.TAKEN)
    return lock


def _say_why(spec: WorkerSpec, reason: str) -> None:
    """Write down that only `drytorch sync` should start this worker again."""
    try:
        owed.put(spec, reason)
    except (OSError, SchemaError):
        log.exception("the owed list cannot be written")


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.exit(code)
