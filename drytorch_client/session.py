"""A run from its start to its stop: sender, workers, registry, and the wait at the end."""

from __future__ import annotations

import atexit
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from drytorch_client import exit_status, messages, process_exit
from drytorch_client.broker_address import endpoint_of
from drytorch_client.config import ClientConfig
from drytorch_client.current_trackers import CurrentTrackers
from drytorch_client.declarations import Declaration
from drytorch_client.errors import RegistryError, RegistryWarning
from drytorch_client.handled import wait_until_handled
from drytorch_client.identity import RunIdentity
from drytorch_client.publisher import Publisher
from drytorch_client.registry import RunRegistry
from drytorch_client.represent import represent_summary
from drytorch_client.senders import AnySender, get_sender
from drytorch_client.status import SenderStatus
from drytorch_client.workers import owed
from drytorch_client.workers.plan import plan_workers
from drytorch_client.workers.spec import WorkerSpec
from drytorch_client.workers.supervisor import LocalWorker, local_supervisor
from drytorch_schemas.errors import LocationError
from drytorch_schemas.events import Event, Status, StopExperimentEvent

#: Longest wait of a tracker that loads what this process emitted.
_LOAD_SECONDS: Final = 5.0
#: The same where the broker is away.
_AWAY_SECONDS: Final = 0.5
#: A younger worker is just being started by somebody else.
_OWED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session needs to know of its run.

    Attributes:
        identity: the run.
        par_dir: the experiment's parent folder.
        registry: where its status is written; None for a run that is not recorded.
        config: options of the client.
        silent: whether nothing is reported.
        resumed: whether the run continues an earlier one.
    """

    identity: RunIdentity
    par_dir: pathlib.Path
    registry: RunRegistry | None
    config: ClientConfig
    silent: bool
    resumed: bool


class Session:
    """The active part of a run.

    Attributes:
        publisher: the run's way to the sender.
    """

    def __init__(self, plan: Plan, finish_passes: Callable[[], None]) -> None:
        """Initialize.

        Args:
            plan: what there is to know of the run.
            finish_passes: reports the end of passes that were left unfinished.
        """
        self._plan = plan
        self._finish_passes = finish_passes
        self._sender = None if plan.silent else get_sender(plan.config)
        self.publisher: Final = Publisher(self._sender, plan.identity)
        self._current: CurrentTrackers | None = None
        self._workers: list[LocalWorker] = []
        self._pid = os.getpid()
        self._started = time.monotonic()
        self._stopped = False
        registry, run_id = plan.registry, plan.identity.run_id
        self._lock = None if registry is None else registry.lock_of(run_id)
        self._forget_child_end: Callable[[], object] = lambda: None
        self.summary: Final[dict[str, Any]] = {}

    def start(
        self, event: Event, declarations: Sequence[Declaration], trackers: Sequence[Any]
    ) -> None:
        """Report the run's start, and start its workers.

        Args:
            event: the run's start.
            declarations: the run's trackers.
            trackers: the objects among them.
        """
        plan = self._plan
        self.write_status("running")
        if self._lock is not None:
            self._lock.take()
        atexit.register(self._stop_at_exit)
        self._forget_child_end = process_exit.at_child_end(self._stop_at_exit)
        self._make_current(declarations, trackers)
        if self._sender is None:
            return
        self._sender.on_new_journal(self.publisher.emit_again)
        if self._secondary:
            return
        since = time.time_ns()
        self.publisher.emit(event)
        if not self._sender.delivers:
            return
        start = event.to_wire()["run_ts"]["local"]
        self._start_workers(declarations, since, start)
        names = [each.name for each in declarations]
        url = endpoint_of(plan.config).url
        identity = plan.identity
        messages.say_start(identity.experiment, identity.run_id, plan.par_dir, names, url)

    def attach(self) -> None:
        """Report to a run that another process has started and will stop."""
        if self._sender is not None:
            self._sender.on_new_journal(self.publisher.emit_again)

    def stop(self, status: Status) -> None:
        """Report the run's end, and wait a bounded time until it is handled.

        Args:
            status: how the run ended.
        """
        if self._stopped or os.getpid() != self._pid:
            return
        self._stopped = True
        atexit.unregister(self._stop_at_exit)
        self._forget_child_end()
        self._finish_passes()
        if status == "failed":
            self.publisher.drop_held()
        self.publisher.release()
        if not self._secondary:
            self.publisher.emit(self._stop_event(status))
        self.write_status(status)
        if self._lock is not None:
            self._lock.give_back()
        if self._current is not None:
            self._current.leave()
        if self._sender is not None:
            self._sender.forget_listener(self.publisher.emit_again)
            self._wait_and_say(self._sender, status)

    @property
    def _secondary(self) -> bool:
        """Whether another process reports the run's start and end, and has its workers."""
        return self._plan.identity.rank > 0

    def _stop_event(self, status: Status) -> StopExperimentEvent:
        identity = self._plan.identity
        return StopExperimentEvent(
            exp_name=identity.experiment,
            run_id=identity.run_id,
            status=status,
            summary=represent_summary(self.summary),
        )

    def flush(self, timeout: float) -> bool:
        """Wait until what was accepted so far is acknowledged.

        Args:
            timeout: longest wait in seconds.

        Returns:
            Whether it is.
        """
        if self._sender is None:
            return True
        self.publisher.release()
        return self._sender.flush(timeout)

    def status(self) -> SenderStatus:
        """Return how far the sender is."""
        return SenderStatus() if self._sender is None else self._sender.status()

    def write_status(self, status: Status) -> None:
        """Write the run's status into the registry; a failure costs a warning, not the run.

        Args:
            status: the status.
        """
        if self._plan.registry is None:
            return
        try:
            self._plan.registry.update_status(self._plan.identity.run_id, status)
        except RegistryError as error:
            warnings.warn(RegistryWarning(str(error)), stacklevel=4)

    def _make_current(self, declarations: Sequence[Declaration], trackers: Sequence[Any]) -> None:
        plan, identity = self._plan, self._plan.identity
        fields: Mapping[str, Any] = {
            "experiment": identity.experiment,
            "run_id": identity.run_id,
            "run": identity.run,
            "par_dir": plan.par_dir,
            "resumed": plan.resumed,
            "wait": self._wait_for_tracker,
        }
        self._current = CurrentTrackers(declarations, trackers, fields)
        self._current.enter()

    def _wait_for_tracker(self, tracker: Any) -> None:
        """Wait until a tracker's worker has handled what was emitted here, at most 5 s.

        Where the broker is away there is nothing to wait for.

        Args:
            tracker: the object that is going to load.
        """
        if self._sender is None or os.getpid() != self._pid:
            return
        now = time.monotonic()
        until = now + _LOAD_SECONDS
        # one that is just being started is not away yet
        patience = max(now + _AWAY_SECONDS, self._started + _LOAD_SECONDS)
        while not self.flush(min(_AWAY_SECONDS, max(until - time.monotonic(), 0.0))):
            if time.monotonic() > (patience if self._sender.away else until):
                return
            time.sleep(_AWAY_SECONDS / 50)  # a sender that has ended makes nobody wait
        kind = type(tracker).__qualname__
        mine = [each for each in self._workers if kind in each.classes]
        if mine:
            wait_until_handled(endpoint_of(self._plan.config), mine, until)

    def _start_workers(self, declarations: Sequence[Declaration], since: int, run_ts: str) -> None:
        plan, supervisor = self._plan, local_supervisor()
        specs = plan_workers(
            declarations,
            plan.identity,
            broker=endpoint_of(plan.config).url,
            par_dir=plan.par_dir,
            since=since if plan.resumed else 0,
            run_ts=run_ts,
        )
        for each in owed.pending(older_than=_OWED_SECONDS):
            if not each.stopped and each.spec.startable:
                supervisor.start(each.spec, quiet=True)
        for spec in specs:
            self._workers.append(supervisor.start(_listed(spec)))

    def _wait_and_say(self, sender: AnySender, status: Status) -> None:
        identity, config, now = self._plan.identity, self._plan.config, time.monotonic()
        until = now + config.exit_wait
        if sender.away:
            # a broker that is just being started is not away yet
            until = min(until, max(now + config.away_wait, self._started + config.exit_wait))
        sender.flush(max(until - time.monotonic(), 0.0))
        if self._secondary or not sender.delivers:
            return  # rank 0 says how the run ended; what waits here is told when the process ends
        left = local_supervisor().wait(self._workers, max(until - time.monotonic(), 0.0))
        messages.say_end(
            identity.experiment,
            identity.run_id,
            status,
            self._plan.par_dir,
            waiting=sender.rest(),
            at_work=[each.name for worker in left for each in worker.spec.declarations],
            gave_up=local_supervisor().gave_up(self._workers),
        )

    def _stop_at_exit(self) -> None:
        """Stop a run that nobody stopped."""
        self.stop("failed" if exit_status.has_failed() else "completed")


def _listed(spec: WorkerSpec) -> WorkerSpec:
    """Put a worker on the owed list; where that is not possible it works all the same."""
    if spec.owed:
        try:
            owed.put(spec)
        except (OSError, LocationError):
            return spec.model_copy(update={"owed": ""})
    return spec
