"""Removing old segments, only where asked, and never what somebody still needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.retention import Retention
from drytorch_broker.state import State, open_state
from drytorch_schemas.control import Attach, Attached, FetchContext, Filter
from drytorch_schemas.packing import unpack
from uplinks import PRODUCER, RUN, batch, hello, seqs

Opener = Callable[..., State]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Return a function that opens a journal with small segments."""

    def opener(*, fill: int = 0, **options: float) -> State:
        config = BrokerConfig(tmp_path, segment_bytes=4096, **options)  # type: ignore[arg-type]
        state = open_state(config, 0.0)
        if fill:
            committer = Committer(state)
            state.inlet.on_hello(hello(), 0.0)
            for seq in range(1, fill + 1):
                kind = "Metric" if seq > 1 else "StartExperiment"
                state.inlet.on_batch(*batch(seq, kind=kind), 1.0)
                committer.commit(1.0)
        return state

    return opener


def attach(state: State, start: str) -> Attached:
    """Attach a worker."""
    message = Attach(worker="slow", instance="one", filters=[Filter()], start=start)
    answer = state.workers.attach(message, 1.0, state.log.start, state.log.durable, {})
    assert isinstance(answer, Attached)
    return answer


def test_nothing_is_removed_unasked(opened: Opener) -> None:
    """Without options the journal keeps all."""
    state = opened(fill=200)
    Retention(state).look()
    assert state.log.start == 0
    state.close()


def test_by_size(opened: Opener) -> None:
    """With --keep-bytes the oldest segments go until the journal is small enough."""
    state = opened(fill=200, keep_bytes=20_000)
    Retention(state).look()
    assert state.log.start > 0
    assert 10_000 < state.log.size <= 20_000 + 5000
    state.close()


def test_by_age(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --max-age segments whose every record is older go."""
    state = opened(fill=200, max_age_days=2)
    retention = Retention(state)
    retention.look()
    assert state.log.start == 0
    later = time.time_ns() + 3 * 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    retention.look()
    assert 0 < state.log.start < state.log.durable
    assert len(state.log.segments) <= 2
    state.close()


def test_not_past_a_cursor(opened: Opener) -> None:
    """A worker that lags holds back what it has not read (C18)."""
    state = opened(fill=200, keep_bytes=20_000)
    attach(state, "50")
    Retention(state).look()
    assert 0 < state.log.start <= 50
    state.close()


def test_past_a_cursor_at_the_hard_limit(opened: Opener) -> None:
    """At the hard limit even a lagging worker's records go, and it is told how many."""
    state = opened(fill=200, keep_bytes=20_000)
    limit = int(state.log.size * 1.01)
    attach(state, "50")
    state.close()
    state = opened(keep_bytes=20_000, max_bytes=limit)
    Retention(state).look()
    assert state.log.start > 50
    assert attach(state, "cursor").skipped == state.log.start - 50
    state.close()


def test_the_context_of_a_run_stays(opened: Opener) -> None:
    """The start of a run that goes on can be had after its segment was removed, and a restart."""
    state = opened(fill=200, keep_bytes=20_000)
    Retention(state).look()
    wanted = FetchContext(before=state.log.durable, filters=[Filter(run=RUN)])
    for _ in range(2):
        found = unpack(state.history.context(wanted))["records"]
        assert seqs([(offset, payload) for offset, payload in found]) == [1]
        assert found[0][0] < state.log.start
        state.close()
        state = opened(keep_bytes=20_000)
        Retention(state)
    state.close()


def test_a_run_that_is_gone_is_forgotten(opened: Opener) -> None:
    """A run of which nothing is left, and that is over, is not listed any more."""
    state = opened(fill=1, keep_bytes=10_000)
    committer = Committer(state)
    state.inlet.on_batch(*batch(2, kind="StopExperiment"), 1.0)
    for seq in range(3, 200):
        state.inlet.on_batch(*batch(seq, run="c" * 32), 1.0)
        committer.commit(1.0)
    assert set(state.runs.by_uuid) == {RUN, "c" * 32}
    Retention(state).look()
    assert set(state.runs.by_uuid) == {"c" * 32}
    state.close()


def test_a_producer_is_known_for_ever(opened: Opener) -> None:
    """A duplicate of what retention removed is still a duplicate, also after a restart (B5)."""
    state = opened(fill=200, keep_bytes=10_000)
    Retention(state).look()
    head = state.log.durable
    state.close()
    (state.config.journal / "lock").unlink(missing_ok=True)
    state = opened(keep_bytes=10_000)
    assert state.inlet.producers[PRODUCER].durable == 200
    assert state.inlet.on_batch(*batch(1), 1.0).outcome.value == "duplicate"
    assert state.log.head == head
    state.close()
