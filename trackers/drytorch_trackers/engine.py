"""Feeds trackers: order, context, retries, dead letters, flush before commit.

The engine knows no sockets and no clock. It is given records in offset order and tells its `Sink`
how far it is. Each tracker sees every matching durable event at least once, in order; what a
tracker could not handle becomes a `Letter`, and the tracker goes on with the next event, until too
many in a row stop it. A tracker's fault is its own: the others are given the event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from drytorch_schemas.envelope import Envelope, check, from_map
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.events import CONTEXT_KINDS, UnknownEvent
from drytorch_schemas.limits import MAX_EVENT_BYTES
from drytorch_schemas.packing import unpack
from drytorch_schemas.topics import TopicFilter, matches_any
from drytorch_trackers.base import Delivery, Tracker, TrackerContext
from drytorch_trackers.boundary import Boundary
from drytorch_trackers.hosted import HostedTracker, Pace, Policy
from drytorch_trackers.run_book import BOOK_KINDS, RunBook
from drytorch_trackers.sink import Letter, Sink

log = logging.getLogger("drytorch_worker")

_TRACEBACKS: Final = 3


class Engine:
    """Trackers, and how far they are.

    Attributes:
        hosted: the trackers, in the order in which each event is given to them.
        runs: the runs that were met.
        finished: counts finished calls, failed ones included: a watchdog looks whether it moves.
        handled: events that were given to trackers.
        pending: dead letters that are not put aside yet.
        boundary: where the wanted start of a resumed run begins.
    """

    def __init__(
        self,
        trackers: Mapping[str, Tracker],
        sink: Sink,
        *,
        filters: Sequence[TopicFilter] = (TopicFilter(),),
        boundary: Boundary | None = None,
        policy: Policy | None = None,
        pace: Pace,
        on_failure: Callable[[str], None] = lambda _text: None,
        send_off: Callable[[HostedTracker], None] | None = None,
    ) -> None:
        """Initialize.

        Args:
            trackers: the trackers by name.
            sink: is told cursor and dead letters.
            filters: which envelopes are wanted; others are passed over.
            boundary: where the wanted start of a resumed run begins: what lies before is passed
                over, but for trackers that want the whole run, or that remember what they had.
            policy: how failing trackers are treated.
            pace: where time comes from.
            on_failure: is told one line for a person when a tracker fails, or has to wait.
            send_off: takes over a stopped tracker before the cursor passes what it was not given;
                without it the others go on and it misses that.
        """
        self._policy = policy = policy or Policy()
        self.hosted = [
            HostedTracker(name, each, policy, pace, on_failure) for name, each in trackers.items()
        ]
        self.runs = RunBook()
        self.finished = 0
        self.handled = 0
        self.pending: list[Letter] = []
        self._sink = sink
        self._filters = list(filters)
        self.boundary = boundary or Boundary()
        self._on_failure = on_failure
        self._send_off = send_off
        self._sent_off: list[HostedTracker] = []
        self._undecodable = 0
        self._whole = any(each.tracker.wants_whole_run for each in self.hosted)

    @property
    def alive(self) -> bool:
        """Whether any tracker still works."""
        return any(not each.stopped for each in self.hosted)

    @property
    def failures(self) -> int:
        """Events that could not be handled, and trackers that were stopped."""
        everybody = [*self.hosted, *self._sent_off]
        return self._undecodable + sum(each.failures + bool(each.stopped) for each in everybody)

    @property
    def last_error(self) -> str:
        """The last error of the first tracker that has one."""
        everybody = [*self.hosted, *self._sent_off]
        return next((f"{e.name}: {e.last_error}" for e in everybody if e.last_error), "")

    @property
    def commit_is_due(self) -> bool:
        """Whether so many dead letters wait that they should be put aside now."""
        return len(self.pending) >= self._policy.commit_letters

    def setup(self, context: TrackerContext) -> None:
        """Get the trackers ready.

        Args:
            context: what they are told about this place.
        """
        for each in self.hosted:
            each.setup(context)
            self._report_stop(each)

    def handle(self, offset: int, payload: bytes, *, replayed: bool = False) -> None:
        """Give one record to the trackers that want it.

        Args:
            offset: where it lies in the journal.
            payload: the encoded envelope.
            replayed: whether it lies before the place where the worker goes on.

        Raises:
            InterruptedWorkError: the worker is asked to leave; the record counts as not handled.
            SourceAwayError: the run's context could not be asked for; likewise.
        """
        try:
            wire = check(unpack(payload, MAX_EVENT_BYTES))
            if not self._wanted(wire):
                return
            envelope = from_map(wire)
        except DecodingError as error:
            self._pass_over(offset, error)
            return
        if self.boundary.is_past(envelope, known=wire["run"] in self.runs):
            self._give(Delivery(envelope, offset, replayed=True), past=True)
            return
        if not replayed and wire["run"] not in self.runs and envelope.kind != "StartExperiment":
            self.catch_up(wire["run"], offset)
        self.runs.note(envelope, complete=not replayed)
        new = self.runs.is_new(envelope, wire["event"])
        if envelope.again and not new:
            return
        self._give(Delivery(envelope, offset, replayed or envelope.again))

    def catch_up(self, run: str, before: int) -> None:
        """Give the past of a run that the worker meets in its middle, marked as replayed.

        Args:
            run: UUID of the run.
            before: the offset at which the worker goes on.

        Raises:
            SourceAwayError: the past could not be asked for.
        """
        for offset, payload in self._sink.history(run, before, whole=self._whole):
            self.handle(offset, payload, replayed=True)
        self.runs.complete(run)

    def handle_live(self, envelope: Envelope) -> None:
        """Give a live event to the trackers that want it, if its run is known.

        Args:
            envelope: the event.
        """
        if envelope.origin.run not in self.runs:
            return
        delivery = Delivery(envelope)
        for each in self.hosted:
            wanted = each.tracker.wants_live and self._fits(each, delivery, past=False)
            if wanted and each.wants(envelope.kind, unknown=False):
                each.handle_live(delivery)

    def flush(self) -> None:
        """Flush the trackers; one that cannot is stopped."""
        for each in self.hosted:
            if not each.broken and not each.flush():
                self._report_stop(each)
            self.finished += 1

    def commit(self, cursor: int) -> bool:
        """Flush, put dead letters aside, then keep the cursor; tell whether it was kept.

        Args:
            cursor: everything below it was handled.

        Raises:
            InterruptedWorkError: the worker is asked to leave while a flush fails.
            SourceAwayError: the sink is away; nothing is lost by trying again later.
        """
        working = [each for each in self.hosted if not each.broken]
        self.flush()
        if self._send_off is None:
            if all(each.broken for each in self.hosted):
                return False  # what was not flushed must come again
            broken = [each for each in working if each.broken]
            at = max(cursor - 1, 0)
            self.pending += [Letter(at, each.name, each.stopped) for each in broken]
        if self.pending:
            self._sink.put_aside(self.pending)
            self.pending = []
        if self._send_off is not None:
            self._part_with_stopped(self._send_off)
        self._sink.commit(cursor, self.last_error)
        return True

    def clean_up(self) -> None:
        """Let every tracker close what it has open."""
        for each in self.hosted:
            if not each.broken and not each.clean_up():
                each.failures += 1
                self._report(each, "failed to clean up")
            self.finished += 1

    def _part_with_stopped(self, send_off: Callable[[HostedTracker], None]) -> None:
        for each in [each for each in self.hosted if each.stopped]:
            if not each.broken:
                each.clean_up()  # what it has open would be in its next worker's way
            send_off(each)
            self.hosted.remove(each)
            self._sent_off.append(each)

    def _wanted(self, wire: Mapping[str, Any]) -> bool:
        return matches_any(
            self._filters, wire["experiment"], wire["run_id"], wire["run"], wire["kind"]
        )

    def _give(self, delivery: Delivery, *, past: bool = False) -> None:
        kind = delivery.envelope.kind
        unknown = isinstance(delivery.event, UnknownEvent)
        for each in self.hosted:
            if not each.wants(kind, unknown=unknown) or not self._fits(each, delivery, past=past):
                continue
            if not each.handle(delivery):
                self._put_aside(each, delivery)
            self.finished += 1
        self.handled += 1

    @staticmethod
    def _fits(hosted: HostedTracker, delivery: Delivery, *, past: bool) -> bool:
        """Tell whether a tracker gets it: of what is replayed most want the context only."""
        tracker = hosted.tracker
        if delivery.envelope.origin.rank and not tracker.wants_ranks:
            return False
        if past:  # what nobody handled when it came must still come before what follows it
            return tracker.wants_whole_run or tracker.remembers
        if not delivery.replayed or tracker.wants_whole_run:
            return True
        return delivery.envelope.kind in CONTEXT_KINDS

    def _put_aside(self, hosted: HostedTracker, delivery: Delivery) -> None:
        envelope = delivery.envelope
        self.pending.append(Letter(delivery.offset, hosted.name, hosted.last_error, envelope.topic))
        if hosted.failures <= _TRACEBACKS:
            log.warning("%s", hosted.last_traceback)
        if hosted.failures == 1:
            self._report(hosted, f"could not handle {envelope.kind}, which is put aside")
        self._report_stop(hosted)

    def _pass_over(self, offset: int, error: DecodingError) -> None:
        self.pending.append(Letter(offset, "", f"{type(error).__name__}: {error}"))
        self._undecodable += 1
        self._on_failure(f"The record at offset {offset} cannot be read and is put aside: {error}")

    def _report(self, hosted: HostedTracker, what: str) -> None:
        self._on_failure(f"{hosted.name} {what}: {hosted.last_error}")

    def _report_stop(self, hosted: HostedTracker) -> None:
        if hosted.stopped:
            self._on_failure(f"{hosted.name} is stopped: {hosted.stopped}")


def kinds_wanted(trackers: Iterable[Tracker]) -> tuple[str, ...]:
    """Return the kinds that must be fetched for some trackers; empty for all.

    Args:
        trackers: the trackers of one worker.
    """
    wanted = set(BOOK_KINDS)
    for each in trackers:
        if each.kinds is None:
            return ()
        wanted |= each.kinds
    return tuple(sorted(wanted))
