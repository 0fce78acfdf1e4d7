"""A sender in this process and a real broker: what is emitted arrives once and in order."""

from __future__ import annotations

import datetime
import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from drytorch_client.config import ClientConfig
from drytorch_client.errors import (
    ClosedSenderWarning,
    EventNotPlainError,
    EventTooLargeError,
    QueueFullError,
)
from drytorch_client.sender import Sender
from drytorch_schemas.endpoint import read_endpoint
from drytorch_schemas.events import (
    BatchProgressEvent,
    CustomEvent,
    LossEvent,
    MetricEvent,
    StartExperimentEvent,
    StopExperimentEvent,
    UnknownEvent,
)
from drytorch_schemas.folders import journal_dir, spool_dir
from emitting import RUN, envelopes, kinds, metric, numbers
from hosts import BIN, Host, eventually

Open = Callable[..., Sender]


@pytest.fixture
def host(tmp_path: Path, no_process_left_behind: None) -> Iterator[Host]:  # noqa: ARG001 - it looks last
    """Return a host whose broker ends with the test."""
    host = Host(tmp_path)
    yield host
    host.stop()


@pytest.fixture
def open_sender(host: Host) -> Iterator[Open]:  # noqa: ARG001 - its broker ends last
    """Return a function that opens senders, which are closed at the end."""
    opened: list[Sender] = []

    def open_one(**options: Any) -> Sender:
        opened.append(Sender(ClientConfig(**options)))
        return opened[-1]

    yield open_one
    for sender in opened:
        sender.close(0.5)


def test_everything_arrives_once_and_in_order(open_sender: Open) -> None:
    """The broker is started, and the journal holds what each thread emitted, in order (A20)."""
    sender = open_sender(on_full="block")

    def emit_some(thread: int) -> None:
        for number in range(2000):
            sender.emit(metric(10_000 * thread + number), RUN)
            if number % 100 == 0:
                sender.emit(CustomEvent(name="mark", payload={"at": number}), RUN)

    threads = [threading.Thread(target=emit_some, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender.flush(30)
    status = sender.status()
    assert (status.accepted, status.acknowledged) == (8080, 8080)
    assert (status.spooled, status.queued, status.dropped) == (0, 0, 0)
    assert status.broker == "connected"
    found = numbers()
    for thread_number in range(4):
        own = [each for each in found if each // 10_000 == thread_number]
        assert own == [10_000 * thread_number + number for number in range(2000)]
    assert [each.seq for each in envelopes()] == list(range(1, 8081))
    assert kinds()["Custom"] == 80


def test_values_arrive_as_they_were(open_sender: Open) -> None:
    """NaN, infinities, the sign of zero, large integers and odd names survive the way (A26)."""
    sender = open_sender()
    values = {
        "nan": math.nan,
        "inf": -math.inf,
        "zero": -0.0,
        "big": 2**63,
        "\u202ertl": 3,
        "nul\0": 1.5,
        "long" * 2000: 1,
    }
    sender.emit(MetricEvent(model_name="m/%", source_name="s", epoch=0, metrics=values), RUN)
    assert sender.flush(20)
    (found,) = envelopes()
    assert isinstance(found.event, MetricEvent)
    got = found.event.metrics
    assert list(got) == list(values)
    assert math.isnan(got["nan"])
    assert math.copysign(1, got["zero"]) == -1
    assert (got["inf"], got["big"], type(got["\u202ertl"])) == (-math.inf, 2**63, int)


def test_what_is_emitted_is_what_was_meant(open_sender: Open) -> None:
    """A config or payload that is changed after `emit` arrives as it was."""
    sender = open_sender()
    payload = {"list": [1, 2]}
    sender.emit(CustomEvent(name="x", payload=payload), RUN)
    payload["list"].append(3)
    sender.flush(20)
    (found,) = envelopes()
    assert isinstance(found.event, CustomEvent)
    assert found.event.payload == {"list": [1, 2]}


def test_time_is_that_of_the_call(open_sender: Open) -> None:
    """The time in the envelope is that of the call of `emit`, whenever the event is sent."""
    sender = open_sender(start_broker=False)
    before = time.time_ns()
    sender.emit(metric(1), RUN)
    after = time.time_ns()
    sender.close(0.1)
    later = open_sender()
    eventually(lambda: numbers() == [1], 20, "the broker takes the spool in")
    assert before <= envelopes()[0].time <= after
    later.close()


def test_wrong_events_raise_in_the_callers_line(open_sender: Open) -> None:
    """What is too large or cannot travel raises by name, and costs no other event (A24)."""
    sender = open_sender()
    with pytest.raises(EventTooLargeError, match="larger than the 1048576 bytes") as caught:
        sender.emit(CustomEvent(name="x", payload={"text": "y" * (1 << 20)}), RUN)
    assert caught.value.size > 1 << 20
    many = {f"{number:0100}": 1.0 for number in range(9999)}
    with pytest.raises(EventTooLargeError):
        sender.emit(MetricEvent(model_name="m", source_name="s", epoch=1, metrics=many), RUN)
    strange: list[Any] = [{"set": {1}}, {"text": "\ud800"}, {"deep": _nested(100)}, {1: "key"}]
    for payload in strange:
        with pytest.raises(EventNotPlainError, match="cannot travel"):
            sender.emit(CustomEvent.model_construct(name="x", payload=payload), RUN)
    sender.emit(metric(1), RUN)
    assert sender.flush(20)
    assert sender.status().accepted == 1


def _nested(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def test_signal_handler_and_finalizer_emit(open_sender: Open) -> None:
    """Events from signal handlers that interrupt `emit`, and from `__del__`, arrive too (A21)."""
    sender = open_sender(on_full="block", spool="before_return")
    handled: list[int] = []

    class Last:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            sender.emit(CustomEvent(name="del"), RUN)

    def handle(*_: object) -> None:
        handled.append(1)
        sender.emit(CustomEvent(name="signal"), RUN)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for number in range(1000):
            # one alarm each time: on a busy machine, repeated ones would interrupt one another
            signal.setitimer(signal.ITIMER_REAL, 0.00002)
            sender.emit(metric(number), RUN)
            Last()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    def all_finalized() -> bool:
        gc.collect()  # does nothing while the sender thread is collecting
        return sender.status().accepted == 2000 + len(handled)

    eventually(all_finalized, 20, "every object is finalized")
    assert sender.flush(30)
    names = [each.event.name for each in envelopes() if isinstance(each.event, CustomEvent)]
    assert numbers() == list(range(1000))
    assert names.count("del") == 1000
    assert names.count("signal") == len(handled) > 0


def test_losses_are_declared(open_sender: Open) -> None:
    """Under a burst that the queue cannot hold: accepted = journaled + declared lost (B11)."""
    sender = open_sender(queue_bytes=200_000, reserved_bytes=50_000)
    for number in range(20_000):
        sender.emit(metric(number), RUN)
    sender.emit(StopExperimentEvent(exp_name="Exp", run_id="r", status="completed"), RUN)
    assert sender.flush(30)
    eventually(lambda: sender.flush(5) and sender.status().dropped == _declared(), 10, "declared")
    status = sender.status()
    assert status.dropped > 0
    assert status.accepted == 20_001 == status.acknowledged + status.dropped
    found = numbers()
    assert found == sorted(found)
    assert len(found) == 20_000 - status.dropped
    assert kinds()["StopExperiment"] == 1


def _declared() -> int:
    return sum(each.event.count for each in envelopes() if isinstance(each.event, LossEvent))


def test_full_queue_may_raise(open_sender: Open) -> None:
    """Under `on_full='raise'` the caller hears of a full queue, and what it accepted arrives."""
    sender = open_sender(queue_bytes=100_000, reserved_bytes=1000, on_full="raise")
    refused = 0
    for number in range(5000):
        try:
            sender.emit(metric(number), RUN)
        except QueueFullError:
            refused += 1
    assert sender.flush(20)
    assert 0 < refused < 5000
    assert len(numbers()) == sender.status().accepted == 5000 - refused


def test_progress_is_live_but_for_the_last_of_a_pass(open_sender: Open) -> None:
    """Progress under way is not journaled; the last one of a pass is."""
    sender = open_sender()
    for batches in range(1, 50):
        event = BatchProgressEvent(source_name="T", pass_id=1, batches=batches, metrics={"l": 1.0})
        sender.emit(event, RUN)
    sender.emit(BatchProgressEvent(source_name="T", pass_id=1, batches=50, final=True), RUN)
    assert sender.flush(20)
    assert sender.status().accepted == 1
    (found,) = envelopes()
    assert isinstance(found.event, BatchProgressEvent)
    assert found.event.batches == 50


def test_emit_after_close_is_a_no_op(open_sender: Open) -> None:
    """After `close` an event goes nowhere, and one warning says so (A22)."""
    sender = open_sender()
    sender.emit(metric(1), RUN)
    sender.close()
    assert sender.status().acknowledged == 1
    with pytest.warns(ClosedSenderWarning, match="goes nowhere"):
        sender.emit(metric(2), RUN)
    sender.emit(metric(3), RUN)
    assert sender.flush(1)
    sender.close()
    assert numbers() == [1]


def test_nothing_leaks(open_sender: Open) -> None:
    """Senders that come and go leave no thread, descriptor or spool."""
    open_sender().flush(20)
    process = psutil.Process()
    before = None
    for number in range(12):
        sender = open_sender()
        sender.emit(metric(number), RUN)
        assert sender.flush(20)
        sender.close()
        if number == 1:
            before = process.num_fds(), process.num_threads()
    assert (process.num_fds(), process.num_threads()) == before
    assert numbers() == list(range(12))
    assert len(list(spool_dir().iterdir())) == 1


def test_idle_sender_wakes_up(open_sender: Open) -> None:
    """An event after a long silence is on its way at once, not at the next long tick."""
    sender = open_sender()
    sender.emit(metric(1), RUN)
    assert sender.flush(20)
    core = sender._core
    assert core is not None
    eventually(lambda: core.queue.asleep, 10, "the sender sleeps deep")
    begun = time.monotonic()
    sender.emit(metric(2), RUN)
    assert sender.flush(5)
    assert time.monotonic() - begun < 0.9


def test_new_journal_gets_the_context_again(open_sender: Open, host: Host) -> None:
    """A broker replaced by one with an empty journal is given the run's start again (A4)."""
    sender = open_sender()
    start = StartExperimentEvent(
        config={"lr": 0.1},
        exp_name="Exp",
        run_ts=datetime.datetime(2026, 1, 1),  # noqa: DTZ001 - local
        run_id="r",
    )
    sender.on_new_journal(lambda: sender.emit(start, RUN, again=True))
    sender.emit(start, RUN)
    sender.emit(metric(1), RUN)
    assert sender.flush(20)
    assert host.broker("stop").returncode == 0
    journal_dir().rename(journal_dir().with_name("old"))
    sender.emit(metric(2), RUN)
    eventually(lambda: any(each.again for each in envelopes()), 30, "the context comes again")
    sender.emit(metric(3), RUN)
    assert sender.flush(20)
    again = [each.kind for each in envelopes() if each.again]
    assert again == ["StartExperiment"]
    # with what the old broker had acknowledged last: the spool still held it
    assert numbers() == [1, 2, 3]
    assert numbers(journal_dir().with_name("old")) == [1]


def test_what_brokers_refuse_is_refused_here(open_sender: Open) -> None:
    """An event that a broker would refuse never gets a number: it would hold up all others."""
    sender = open_sender()
    with pytest.raises(EventNotPlainError, match="must not be empty"):
        sender.emit(UnknownEvent(name="", fields={}), RUN)
    sender.emit(UnknownEvent(name="Newer", fields={"x": 1}), RUN)
    assert sender.flush(20)
    assert kinds() == {"Newer": 1}


def test_addresses_of_the_newer_kind(open_sender: Open, host: Host, tmp_path: Path) -> None:
    """A broker that listens on an IPv6 address is reached too."""
    broker = host.start(
        *(BIN / "drytorch-broker", "start", "--listen", "tcp://[::1]:0"),
        *("--journal", tmp_path / "j"),
    )
    found = eventually(lambda: read_endpoint(tmp_path / "j"), 20, "the endpoint")
    sender = open_sender(broker=found.url)
    sender.emit(metric(1), RUN)
    assert sender.flush(20)
    assert numbers(tmp_path / "j") == [1]
    broker.terminate()
    host.finish(broker)
