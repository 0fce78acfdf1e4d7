"""Puts a worker together from its description: trackers, engine, broker, loop and watchdog."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from drytorch_client.control import ControlChannel
from drytorch_client.declarations import Declaration
from drytorch_client.errors import HandoverError
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.folders import spool_dir
from drytorch_schemas.locks import FileLock
from drytorch_schemas.spool_files import lock_path, spool_folder
from drytorch_trackers import exit_codes, registry
from drytorch_trackers.base import Tracker, TrackerContext
from drytorch_trackers.boundary import Boundary
from drytorch_trackers.doorbell import Doorbells
from drytorch_trackers.engine import Engine, kinds_wanted
from drytorch_trackers.errors import (
    FolderTakenError,
    MissingExtraError,
    SourceAwayError,
    TrackersError,
    WorkError,
)
from drytorch_trackers.feed import Ending, Feed, FeedOptions, Surroundings
from drytorch_trackers.hosted import HostedTracker, Pace, Policy, one_line
from drytorch_trackers.lookout import Lookout
from drytorch_trackers.sharing import Sharing
from drytorch_trackers.source_broker import BrokerSource, Place
from drytorch_trackers.watchdog import Limits, Watchdog

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Notices:
    """Where a worker's own lines go.

    Attributes:
        note: what is good to know.
        warn: what a user should see.
    """

    note: Say
    warn: Say


@dataclass(frozen=True, slots=True)
class Host:
    """The process that a worker runs in.

    Attributes:
        leaving: set when the worker is asked to leave.
        notices: where its lines go.
        orphaned: whether whoever started it is gone.
        start: where to begin without a kept cursor: `start`, `now` or an offset.
        transient: the cursor is of no use once this process is gone.
        policy: how failing trackers are treated; the default waits for taken folders, and for what
            trackers write to.
        end: ends the process at once when a tracker hangs.
    """

    leaving: threading.Event
    notices: Notices
    orphaned: Callable[[], bool] = lambda: False
    start: str = "start"
    transient: bool = False
    policy: Policy = field(
        default_factory=lambda: Policy(wait_for_folder=True, wait_for_backend=True)
    )
    end: Callable[[int], None] = os._exit  # public in all but name


_CODES: Final = {
    Ending.DONE: exit_codes.OK,
    Ending.ASKED: exit_codes.OK,
    Ending.STOPPED: exit_codes.DEAD_LETTERS,
    Ending.AWAY: exit_codes.UNAVAILABLE,
    Ending.ORPHANED: exit_codes.UNAVAILABLE,
}


def run(
    spec: WorkerSpec, host: Host, trackers: Mapping[str, Tracker], sharing: Sharing | None = None
) -> tuple[int, bool]:
    """Run a worker to its end.

    Args:
        spec: what it is told.
        host: the process that it runs in.
        trackers: its trackers by name.
        sharing: where a tracker goes that disturbs the others; None to keep it here.

    Returns:
        The exit code, and whether everything that it ever will handle is handled.

    Raises:
        TrackersError: it cannot work, with the exit code in it.
        EndpointError: the broker's URL is none.
    """
    with _connected(spec, host, trackers) as source:
        ending, failures = _feed(spec, host, source, trackers, sharing or Sharing(spec))
    host.notices.note(f"Leaving: {ending.value}.")
    code = _CODES[ending]
    if code == exit_codes.OK and failures:
        code = exit_codes.DEAD_LETTERS
    return code, ending is Ending.DONE


def split(sharing: Sharing, host: Host) -> None:
    """Let all trackers of a shared worker go on in workers of their own.

    Args:
        sharing: the worker, and afterwards one without trackers.
        host: the process that this runs in.

    Raises:
        TrackersError: that is not possible; trying again does no harm.
    """
    spec = sharing.spec
    with _connected(spec, host, {}) as source:
        source.attach()
        for each in spec.declarations:
            sharing.part(source, each.name, source.position)
        source.detach(done=True)


@contextlib.contextmanager
def _connected(
    spec: WorkerSpec, host: Host, trackers: Mapping[str, Tracker]
) -> Iterator[BrokerSource]:
    endpoint = Endpoint.from_url(spec.broker)
    topics = (replace(spec.filter.unwired(), kinds=kinds_wanted(trackers.values())),)
    channel = ControlChannel(endpoint)
    bell = Doorbells(
        endpoint,
        [each.prefix() for each in topics],
        live=any(each.wants_live for each in trackers.values()),
    )
    place = Place(spec.name, topics, tuple(trackers), host.start, spec.run_scoped, host.transient)
    try:
        yield BrokerSource(channel, bell, place, host.notices.note)
    finally:
        channel.close()
        bell.close()


def build(declarations: list[Declaration], warn: Say) -> tuple[dict[str, Tracker], int]:
    """Return the trackers by name, and how many could not be built; the others go on.

    Args:
        declarations: what they are built from.
        warn: takes a line about each that could not be built.

    Raises:
        TrackersError: none could be built.
    """
    trackers: dict[str, Tracker] = {}
    errors: list[TrackersError] = []
    for each in declarations:
        try:
            trackers[each.name] = each.build(registry.load)
        except (MissingExtraError, HandoverError) as error:
            # the training cannot mend that while it runs: not to be started again
            errors.append(WorkError(str(error), exit_codes.CONFIG))
        except TrackersError as error:
            errors.append(error)
        except BaseException as error:  # noqa: BLE001  # a constructor of the user's own
            text = f"{each.name} cannot be built: {one_line(error)}"
            errors.append(WorkError(text, exit_codes.DEAD_LETTERS))
    if not trackers and errors:
        raise errors[0]
    for problem in errors:
        warn(str(problem))
    return trackers, len(errors)


def _feed(
    spec: WorkerSpec,
    host: Host,
    source: BrokerSource,
    trackers: Mapping[str, Tracker],
    sharing: Sharing,
) -> tuple[Ending, int]:
    def send_off(hosted: HostedTracker) -> None:
        at = max(hosted.goes_on_at, source.committed)
        sharing.part(source, hosted.name, at, f"a tracker stopped with errors: {hosted.stopped}")

    engine = Engine(
        trackers,
        source,
        filters=(spec.filter.unwired(),),
        boundary=Boundary(spec.since, spec.run_ts),
        policy=host.policy,
        pace=Pace(lambda seconds: _sleep(host.leaving, seconds), host.leaving.is_set),
        on_failure=host.notices.warn,
        send_off=send_off if sharing.possible else None,
    )
    engine.setup(TrackerContext(Path(spec.par_dir), spec.name, sys.stderr.isatty()))
    options = FeedOptions(follow=spec.follow, away_seconds=spec.quiet_exit_s)
    around = Surroundings(
        time.monotonic, host.leaving.is_set, host.orphaned, _producer_lives, host.notices.note
    )
    feed = Feed(source, engine, options, around)
    watchdog = _watchdog(host, feed, engine, sharing)
    watchdog.start()
    try:
        ending = feed.run()
    except FolderTakenError as error:
        # who is sent away leaves no name behind: its cursor would hold back retention for ever
        with contextlib.suppress(SourceAwayError):
            source.detach(done=False)
        raise WorkError(str(error), exit_codes.TAKEN) from error
    finally:
        watchdog.close()
    return ending, engine.failures


def _watchdog(host: Host, feed: Feed, engine: Engine, sharing: Sharing) -> Watchdog:
    spec = sharing.spec

    def end(code: int, reason: str) -> None:
        host.notices.warn(f"leaves: {reason}; what it owes stays owed, see `drytorch sync`")
        host.end(code)

    lookout = Lookout(spec.broker, spec.filter.unwired())
    return Watchdog(
        feed,
        engine,
        Limits(stuck=spec.stuck_exit_s, away=spec.quiet_exit_s),
        runs_over=lambda: lookout.runs_over(feed.position, engine.runs.open_runs),
        leaving=host.leaving.is_set,
        end=end,
        holds_up=lambda: sharing.possible and len(engine.hosted) > 1,
    )


def _producer_lives(producer: str) -> bool:
    """Tell whether a producer holds the lock of its spool on this host."""
    try:
        return FileLock.held_by_other(lock_path(spool_folder(spool_dir(), producer)))
    except (OSError, SchemaError):
        return False


def _sleep(leaving: threading.Event, seconds: float) -> None:
    leaving.wait(seconds)
