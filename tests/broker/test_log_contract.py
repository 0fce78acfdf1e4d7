"""What every log must do, in memory or in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.filelog.recovery import Recovery
from drytorch_broker.log import Log, TopicKey
from drytorch_broker.memory_log import MemoryLog
from drytorch_schemas.records import ENVELOPE, NOTE
from uplinks import event, topic

ALL = 1 << 30
SMALL = LogOptions(segment_bytes=2000)
Maker = Callable[[], Log]


@pytest.fixture(params=["memory", "files"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    """Return a function that makes an empty log; the files' segments are small."""
    made: list[Log] = []

    def maker() -> Log:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        log = MemoryLog() if request.param == "memory" else Recovery(folder, SMALL).open()
        made.append(log)
        return log

    yield maker
    for log in made:
        log.close()


def put(log: Log, count: int = 1, kind: str = "Metric") -> int:
    """Append events whose number is their offset."""
    events = [event(log.head + n, kind) for n in range(count)]
    return log.append(ENVELOPE, events, [topic(kind)] * count)


def offsets(log: Log, start: int = 0, **limits: int) -> list[int]:
    """Return the offsets that a read gives."""
    found = log.read(
        start, limits.get("end", ALL), None, limits.get("size", ALL), limits.get("count", ALL)
    )
    return [offset for offset, _ in found.records]


def test_nothing_is_read_before_it_is_durable(make: Maker) -> None:
    """Appended records get consecutive offsets, and are read once they are durable."""
    log = make()
    assert (log.start, log.head, log.durable, log.size) == (0, 0, 0, 0)
    assert (put(log, 2), put(log)) == (0, 2)
    assert (log.head, log.durable, offsets(log)) == (3, 0, [])
    log.sync()
    assert (log.head, log.durable, offsets(log)) == (3, 3, [0, 1, 2])
    assert log.size > 0
    log.sync()
    assert log.durable == 3


def test_records_come_back_as_they_were(make: Maker) -> None:
    """A read gives the very bytes that were appended, across segments."""
    log = make()
    payloads = [event(n, "Metric", metrics={"x": n * 0.5}) for n in range(100)]
    for payload in payloads:
        log.append(ENVELOPE, [payload], [topic()])
        log.sync()
    found = log.read(0, ALL, None, ALL, ALL)
    assert found.records == list(enumerate(payloads))
    assert found.covered_to == 100


def test_a_read_has_limits(make: Maker) -> None:
    """A read stops at its end, size and count, says how far it came, and always makes progress."""
    log = make()
    put(log, 50)
    log.sync()
    assert offsets(log, 10, end=13) == [10, 11, 12]
    assert offsets(log, 48) == [48, 49]
    assert offsets(log, 50) == offsets(log, 99) == []
    assert offsets(log, 5, count=3) == [5, 6, 7]
    assert log.read(5, ALL, None, ALL, 3).covered_to == 8
    one = log.read(7, ALL, None, 1, ALL)
    assert ([offset for offset, _ in one.records], one.covered_to) == ([7], 8)
    assert log.read(99, ALL, None, ALL, ALL).covered_to == 99


def test_a_read_selects_by_topic(make: Maker) -> None:
    """Only wanted topics are read, notes never, and the answer covers what it passed over."""
    log = make()
    for number in range(30):
        put(log, kind="Metric" if number % 3 else "StartEpoch")
        log.append(NOTE, [b"\x80"], [None])
    log.sync()
    wanted: list[TopicKey] = []

    def is_wanted(key: TopicKey) -> bool:
        wanted.append(key)
        return key.kind == "StartEpoch"

    found = log.read(0, ALL, is_wanted, ALL, ALL)
    assert [offset for offset, _ in found.records] == list(range(0, 60, 6))
    assert found.covered_to == 60
    assert set(wanted) == {topic(), topic("StartEpoch")}
    assert offsets(log) == list(range(0, 60, 2))
    nothing = log.read(0, ALL, lambda _: False, ALL, ALL)
    assert (nothing.records, nothing.covered_to) == ([], 60)


def test_a_rollback_forgets_what_is_not_durable(make: Maker) -> None:
    """After a rollback the offsets of what was not durable are given anew."""
    log = make()
    put(log, 2)
    log.sync()
    put(log, 3)
    log.rollback()
    assert (log.head, log.durable) == (2, 2)
    assert log.append(ENVELOPE, [event(77)], [topic()]) == 2
    log.sync()
    assert log.read(2, ALL, None, ALL, ALL).records == [(2, event(77))]


def test_a_rollback_of_everything(make: Maker) -> None:
    """A log that never had anything durable is empty again after a rollback."""
    log = make()
    put(log, 2)
    log.rollback()
    assert (log.start, log.head, log.durable) == (0, 0, 0)
    put(log)
    log.sync()
    assert offsets(log) == [0]


def test_trimming_keeps_what_it_was_told_to(make: Maker) -> None:
    """Trimming removes a beginning, never more than asked; what is left is read as before."""
    log = make()
    for _ in range(100):
        put(log)
        log.sync()
    size = log.size
    start = log.trim(60)
    assert 0 < start <= 60
    assert log.start == start
    assert log.size < size
    assert offsets(log) == list(range(start, 100))
    assert log.trim(10) == start
    assert put(log) == 100
    assert log.trim(10**6) <= 100


def test_a_log_says_who_it_is(make: Maker) -> None:
    """Every log has an id of its own, takes records, and knows of no damage."""
    log, other = make(), make()
    assert len(bytes.fromhex(log.journal_id)) == 16
    assert log.journal_id != other.journal_id
    assert log.writable()
    assert log.damages == []


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "sync", "rollback", "trim"]), st.integers(1, 30)),
        max_size=40,
    )
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_sequence_of_steps(make: Maker, steps: list[tuple[str, int]]) -> None:
    """Whatever is done to a log, it holds what was durable and not trimmed."""
    log = make()
    model: list[bytes] = []
    for step, number in steps:
        if step == "put":
            events = [event(number * 100 + n) for n in range(number)]
            assert log.append(ENVELOPE, events, [topic()] * number) == len(model)
            model += events
        elif step == "sync":
            log.sync()
        elif step == "rollback":
            log.rollback()
            del model[log.durable :]
        else:
            before = log.start
            assert before <= log.trim(number) <= max(before, number)
        found = log.read(0, ALL, None, ALL, ALL).records
        expected = list(enumerate(model))[log.start : log.durable]
        assert found == expected
