"""Events, a journal in memory, and a clock, for tests of the engine and of the loop around it."""

import datetime
from collections.abc import Callable, Iterable, Sequence

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope, Origin, decode, encode
from drytorch_schemas.events import CONTEXT_KINDS
from drytorch_trackers.base import Delivery, Tracker
from drytorch_trackers.engine import Engine
from drytorch_trackers.errors import SourceAwayError
from drytorch_trackers.hosted import Pace, Policy
from drytorch_trackers.sink import Letter
from drytorch_trackers.source import Chunk

MOMENT = datetime.datetime(2026, 3, 4, 5, 6, 7)  # noqa: DTZ001  # local time, as DRYTorch has it
_ENDS = {"StopExperiment", "RunLost"}


class Run:
    """Makes the envelopes of one run, numbered as a client numbers them."""

    def __init__(self, number: int = 1, run_id: str = "r", producer: str = "") -> None:
        self.origin = Origin(
            producer or f"{number:032x}", "Exp", run_id, f"{number + 1000:032x}", 0, "host"
        )
        self._seq = 0

    @property
    def run(self) -> str:
        """UUID of the run."""
        return self.origin.run

    def emit(self, event: events.Event, *, again: bool = False, time: int = 0) -> bytes:
        """Return the encoded envelope of an event."""
        self._seq += 1
        moment = time or 1_000_000_000 * self._seq
        return encode(Envelope(self.origin, self._seq, moment, event, again=again))

    def start(self, *, again: bool = False, resumed: bool = False, time: int = 0) -> bytes:
        """Return the run's start."""
        event = events.StartExperimentEvent(
            config=None, exp_name="Exp", run_ts=MOMENT, run_id=self.origin.run_id, resumed=resumed
        )
        return self.emit(event, again=again, time=time)

    def actor(self, name: str = "Trainer") -> bytes:
        """Return the registration of a source."""
        event = events.ActorRegistrationEvent(
            actor_name=name, actor_ts=MOMENT, model_name="net", model_ts=MOMENT, metadata={}
        )
        return self.emit(event)

    def metric(self, epoch: int, *, time: int = 0) -> bytes:
        """Return a metric."""
        event = events.MetricEvent(
            model_name="net", source_name="Trainer", epoch=epoch, metrics={"loss": 1 / (epoch + 1)}
        )
        return self.emit(event, time=time)

    def stop(self, *, time: int = 0) -> bytes:
        """Return the run's end."""
        event = events.StopExperimentEvent(exp_name="Exp", run_id="r", status="completed")
        return self.emit(event, time=time)

    def whole(self, epochs: int) -> list[bytes]:
        """Return a whole run."""
        beginning = [self.start(), self.actor()]
        metrics = [self.metric(epoch) for epoch in range(1, epochs + 1)]
        return [*beginning, *metrics, self.stop()]


class MemoryJournal:
    """A journal and its cursor in memory; a source and a sink for the engine.

    Attributes:
        payloads: the records.
        cursor: what was committed.
        letters: dead letters that were put aside.
        chunk: most records of one fetch.
        away: called before each request; may raise.
        journal: its id.
    """

    def __init__(self, payloads: Iterable[bytes] = (), start: int = 0) -> None:
        self.payloads = list(payloads)
        self.cursor = start
        self.start = start
        self.letters: list[Letter] = []
        self.chunk = 7
        self.position = 0
        self.kept = False
        self.journal = "0f" * 16
        self.detached: bool | None = None
        self.away: Callable[[], None] = lambda: None
        self.on_wait: Callable[[], None] = lambda: None
        self.live_events: list[Envelope] = []

    def attach(self) -> None:
        """Begin at the cursor."""
        self.away()
        self.position, self.kept = self.cursor, self.cursor > self.start

    def fetch(self, start: int) -> Chunk:
        """Return the next records."""
        self.away()
        if start > len(self.payloads):  # replaced: it goes on from the start
            return Chunk((), 0, caught_up=False)
        records = [(at, self.payloads[at]) for at in range(len(self.payloads))][start:]
        records = records[: self.chunk]
        end = start + len(records)
        return Chunk(records, end, caught_up=end == len(self.payloads))

    def wait(self, seconds: float) -> None:  # noqa: ARG002  # the seam's name
        """Let the test go on."""
        self.on_wait()

    def live(self) -> list[Envelope]:
        """Return live events once."""
        events_now, self.live_events = self.live_events, []
        return events_now

    def open_runs(self) -> list[str]:
        """Return the runs that are open at the position."""
        open_now: dict[str, None] = {}
        for payload in self.payloads[: self.position]:
            envelope = decode(payload)
            if envelope.kind in _ENDS:
                open_now.pop(envelope.origin.run, None)
            elif envelope.kind == "StartExperiment":
                open_now[envelope.origin.run] = None
        return list(open_now)

    def has_runs(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.payloads)

    def history(self, run: str, before: int, *, whole: bool) -> list[tuple[int, bytes]]:
        """Return a run's past."""
        self.away()
        return [
            (offset, payload)
            for offset, payload in enumerate(self.payloads[:before])
            if decode(payload).origin.run == run
            and (whole or decode(payload).kind in CONTEXT_KINDS)
        ]

    def put_aside(self, letters: Sequence[Letter]) -> None:
        """Keep dead letters, as a broker does: each once."""
        self.away()
        self.letters += [each for each in letters if each not in self.letters]

    def commit(self, cursor: int, last_error: str) -> None:  # noqa: ARG002  # the seam's name
        """Keep the cursor."""
        self.away()
        self.cursor = max(self.cursor, cursor)

    def detach(self, *, done: bool) -> None:
        """Note how the worker left."""
        self.detached = done


class Clock:
    """Time that passes only when somebody sleeps, or reads it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds

    def pace(self) -> Pace:
        """Return this clock as the engine wants it."""
        return Pace(self.sleep)


class Recorder(Tracker):
    """Keeps deliveries, and what was flushed."""

    def __init__(self) -> None:
        self.seen: list[Delivery] = []
        self.flushed = 0
        self.calls: list[str] = []

    def handle(self, delivery: Delivery) -> None:
        """Keep the delivery."""
        super().handle(delivery)
        self.seen.append(delivery)

    def flush(self) -> None:
        """Note what would be safe now."""
        self.flushed = len(self.seen)
        self.calls.append("flush")

    def clean_up(self) -> None:
        """Note the call."""
        self.calls.append("clean_up")

    def offsets(self, *, replayed: bool = False) -> list[int]:
        """Return the offsets of what was delivered, in order."""
        return [each.offset for each in self.seen if each.replayed == replayed]


def away() -> None:
    """Be a source that does not answer."""
    raise SourceAwayError("away")


def engine_of(
    *trackers: Tracker, journal: MemoryJournal, clock: Clock, policy: Policy | None = None
) -> Engine:
    """Return an engine with trackers named t0, t1 and so on."""
    named = {f"t{number}": tracker for number, tracker in enumerate(trackers)}
    return Engine(named, journal, policy=policy, pace=clock.pace())
