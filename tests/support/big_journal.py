"""Journals of many events, written by the broker's own log, and left as a kill leaves them."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from drytorch_broker.config import BrokerConfig
from drytorch_broker.log import TopicKey
from drytorch_broker.producers import Producer
from drytorch_broker.state import State, open_state
from drytorch_schemas import envelope
from drytorch_schemas.records import ENVELOPE
from uplinks import TOKEN, event

RUNS = 100
_BATCH = 500
_METRIC = {
    "model_name": "net",
    "source_name": "Trainer",
    "epoch": 3,
    "step": 70_000,
    "metrics": {"loss": 0.5, "accuracy": 0.25},
}
#: A number that takes as many bytes as all that follow it.
_MANY = 1 << 20


def run_of(number: int) -> str:
    """Return the UUID of a run of the journal."""
    return f"{number:032x}"


def write(folder: Path, count: int, fill: float = 0.9, segment_bytes: int = 64 << 20) -> int:
    """Write a journal as a broker does, and leave it as if that had been killed.

    Args:
        folder: where to.
        count: how many events at least.
        fill: how full the last segment is: what a start after the kill has to read.
        segment_bytes: size of a segment.

    Returns:
        The offset behind the last event.
    """
    config = BrokerConfig(folder, fsync="never", segment_bytes=segment_bytes)
    state = open_state(config, 0.0)
    writers = cycle([_Writer(state, number) for number in range(RUNS)])
    rolls = 0
    while state.log.head < count or not _is_filled(state, fill):
        next(writers).write(_BATCH)
        state.log.sync()
        if state.log.rolls != rolls:
            rolls = state.log.rolls
            state.save_snapshot()
    state.rejects.close()
    return state.log.head


def _is_filled(state: State, fill: float) -> bool:
    size, limit = state.log.segments[-1].size, state.config.segment_bytes
    return fill * limit <= size < limit


class _Writer:
    """Appends the events of one run, quickly: only their numbers differ."""

    def __init__(self, state: State, number: int) -> None:
        name, run = f"{number + 1:032x}", run_of(number)
        self._state, self._topic = state, TopicKey("Exp", f"r{number}", run, "Metric")
        self._producer = Producer(name, TOKEN, "elsewhere", noted=True)
        state.inlet.producers[name] = self._producer
        origin = envelope.Origin(name, "Exp", f"r{number}", run, 0, "elsewhere")
        start = event(1, "StartExperiment", producer=name, run=run)
        wire = {"producer": name, "host": "elsewhere", "time": 1, "rank": 0, "event": {}}
        topic = self._topic._replace(kind="StartExperiment")
        offset = state.log.append(ENVELOPE, [start], [topic])
        state.runs.apply_record(offset, topic, wire)
        metric = envelope.encode_fields(origin, "Metric", _MANY, 10**18, _METRIC)
        self._before, self._after = metric.split(_MANY.to_bytes(4, "big"))
        self._seq = 1

    def write(self, count: int) -> None:
        """Append some events."""
        numbers = range(self._seq + 1, self._seq + 1 + count)
        before, after = self._before, self._after
        payloads = [before + (_MANY + n).to_bytes(4, "big") + after for n in numbers]
        first = self._state.log.append(ENVELOPE, payloads, [self._topic] * count)
        self._seq += count
        self._producer.durable = _MANY + self._seq
        info = self._state.runs.by_uuid[self._topic.run]
        info.events += count
        info.last_offset = first + count - 1
