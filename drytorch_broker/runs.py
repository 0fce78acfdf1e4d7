"""The run index: what the journal knows of each run, kept up to date with what is durable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drytorch_broker.batch import Batch
from drytorch_broker.log import TopicKey
from drytorch_schemas.events import CONTEXT_KINDS


@dataclass(slots=True)
class RunInfo:
    """What is known of one run.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
        owner: id of the producer that started it last (rank 0 where there are ranks).
        host: name of its host.
        status: `running`, `completed`, `failed`, `lost`, or what its StopExperiment says.
        started: when its first event was emitted, nanoseconds since 1970.
        last: when its last event was emitted.
        events: its durable events.
        lost_events: how many of its producers' events were declared lost.
        first_offset: where its first event lies.
        last_offset: where its last event lies.
        ended: offset of the event that ended it; None while it goes on.
        context: offsets of its start and registrations.
    """

    experiment: str
    run_id: str
    run: str
    owner: str = ""
    host: str = ""
    status: str = "running"
    started: int = 0
    last: int = 0
    events: int = 0
    lost_events: int = 0
    first_offset: int = 0
    last_offset: int = 0
    ended: int | None = None
    context: list[int] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether the run has ended, or its producer was lost."""
        return self.ended is not None

    def goes_on(self) -> None:
        """Note that the run goes on."""
        self.status, self.ended = "running", None

    def ends(self, offset: int, status: str) -> None:
        """Note that the run is over.

        Args:
            offset: where the event lies that says so.
            status: how it ended.
        """
        self.status, self.ended = status, offset


class Runs:
    """All runs that the journal holds, by UUID."""

    def __init__(self) -> None:
        """Initialize."""
        self.by_uuid: dict[str, RunInfo] = {}

    def apply_batch(self, first: int, batch: Batch) -> None:
        """Take in a batch that became durable.

        Args:
            first: offset of its first envelope.
            batch: the batch.
        """
        previous: TopicKey | None = None
        count = place = 0
        for place, topic in enumerate(batch.topics):
            if topic is not previous:
                if previous is not None:
                    self._count(previous, batch, first, place - count, count)
                previous, count = topic, 0
            count += 1
        if previous is not None:
            self._count(previous, batch, first, place + 1 - count, count)
        for place, wire in batch.telling.items():
            self._look_into(batch.topics[place], first + place, wire)

    def apply_record(self, offset: int, topic: TopicKey, wire: Mapping[str, Any]) -> None:
        """Take in one envelope that was read back.

        Args:
            offset: where it lies.
            topic: its topic.
            wire: the decoded envelope.
        """
        info = self._info(topic, wire["producer"], wire["host"], offset, wire["time"])
        info.events += 1
        info.last, info.last_offset = wire["time"], offset
        self._look_into(topic, offset, wire)

    def _count(self, topic: TopicKey, batch: Batch, first: int, start: int, count: int) -> None:
        """Count neighbours of one topic."""
        info = self._info(topic, batch.producer, "", first + start, batch.times[start])
        info.events += count
        info.last, info.last_offset = batch.times[start + count - 1], first + start + count - 1

    def _info(self, topic: TopicKey, producer: str, host: str, offset: int, time: int) -> RunInfo:
        info = self.by_uuid.get(topic.run)
        if info is None:
            info = self.by_uuid[topic.run] = RunInfo(
                topic.experiment,
                topic.run_id,
                topic.run,
                owner=producer,
                host=host,
                started=time,
                first_offset=offset,
            )
        return info

    def _look_into(self, topic: TopicKey, offset: int, wire: Mapping[str, Any]) -> None:
        info, kind, fields = self.by_uuid[topic.run], topic.kind, wire["event"]
        if kind in CONTEXT_KINDS:
            info.context.append(offset)
        if kind == "StartExperiment":
            self._start(info, wire)
        elif kind == "StopExperiment":
            status = fields.get("status")
            info.ends(offset, status if isinstance(status, str) else "completed")
        elif kind == "Loss" and isinstance(fields.get("count"), int):
            info.lost_events += fields["count"]
        elif kind == "RunLost":
            info.ends(offset, "lost")
        elif kind == "RunFound":
            info.goes_on()

    def _start(self, info: RunInfo, wire: Mapping[str, Any]) -> None:
        if wire["rank"] == 0 or not info.host:
            info.owner, info.host = wire["producer"], wire["host"]
        if not wire.get("again") or info.ended is None:
            info.goes_on()

    def open_of(self, producer: str) -> list[RunInfo]:
        """Return the runs of a producer that are not over.

        Args:
            producer: id of the producer.
        """
        return [info for info in self.by_uuid.values() if info.owner == producer and not info.over]

    def forget_before(self, start: int) -> None:
        """Forget the runs of which the journal holds nothing any more.

        Args:
            start: the first offset that is still kept.
        """
        gone = [run for run, info in self.by_uuid.items() if info.last_offset < start and info.over]
        for run in gone:
            del self.by_uuid[run]

    def snapshot(self) -> list[list[Any]]:
        """Return everything as plain data, for `restore`."""
        return [
            [getattr(info, name) for name in RunInfo.__slots__] for info in self.by_uuid.values()
        ]

    def restore(self, rows: Iterable[Iterable[Any]]) -> None:
        """Take over what `snapshot` gave.

        Args:
            rows: one list of fields a run.
        """
        self.by_uuid = {info.run: info for info in (RunInfo(*row) for row in rows)}
