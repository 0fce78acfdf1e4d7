"""Whether runs are complete, told from journal records and spools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drytorch_schemas import events
from drytorch_schemas.envelope import check
from drytorch_schemas.packing import unpack
from drytorch_trackers.completeness import Audit, Numbers, RunState
from feeding import Run


def every_run(_experiment: str, _run_id: str, _run: str) -> bool:
    """Want all runs."""
    return True


def audit(journal: list[bytes], spool: tuple[bytes, ...] = ()) -> RunState:
    """Return what an audit says of the only run."""
    looked = Audit(every_run)
    for payload in journal:
        looked.journaled(payload)
    for payload in spool:
        looked.spooled(check(unpack(payload)))
    (state,) = looked.runs()
    return state


@given(st.lists(st.integers(1, 40)))
def test_numbers_are_a_set(added: list[int]) -> None:
    """Numbers in any order, also twice, are known afterwards, and the gaps are all others."""
    numbers = Numbers()
    assert [numbers.add(each) for each in added] == [
        each not in added[:place] for place, each in enumerate(added)
    ]
    assert all((each in numbers) == (each in added) for each in range(42))
    if added:
        low, high = min(added), max(added)
        missing = {n for a, b in numbers.gaps(low, high) for n in range(a, b + 1)}
        assert missing == set(range(low, high + 1)) - set(added)


def test_a_whole_run_is_complete() -> None:
    """A run with its start, all its numbers and its end is complete."""
    state = audit(Run().whole(5))
    assert state.complete
    assert (state.events, state.status, state.missing_count) == (8, "completed", 0)


def test_a_gap_is_named() -> None:
    """A number that is nowhere makes the run incomplete, and is named."""
    payloads = Run().whole(5)
    state = audit(payloads[:3] + payloads[5:])
    assert not state.complete
    assert list(state.missing.values()) == [[(4, 5)]]


def test_another_run_fills_the_numbers() -> None:
    """Numbers that the producer gave to another run in between are not missing."""
    one, other = Run(1), Run(2, "other", producer=f"{1:032x}")
    journal = [one.start()]
    other._seq = 1
    journal += other.whole(2)
    one._seq = other._seq
    journal += [one.metric(1), one.stop()]
    looked = Audit(every_run)
    for payload in journal:
        looked.journaled(payload)
    assert [each.complete for each in looked.runs()] == [True, True]


def test_what_a_spool_holds_is_not_missing_but_waits() -> None:
    """Events in a spool are counted as such, those that the journal has too are not."""
    payloads = Run().whole(5)
    state = audit(payloads[:4] + payloads[-1:], tuple(payloads[3:7]))
    assert (state.spooled, state.missing_count, state.complete) == (3, 0, False)


def test_a_run_that_only_a_spool_knows_is_told() -> None:
    """A run of which nothing has reached the journal is told with all that waits."""
    state = audit([], tuple(Run().whole(2)))
    assert (state.events, state.spooled, state.complete) == (0, 5, False)


def test_declared_losses_are_told() -> None:
    """Losses that the journal declares are added up by kind."""
    run = Run()
    loss = events.LossEvent(count=7, reason="queue full", kinds={"Metric": 7})
    state = audit([run.start(), run.emit(loss), run.stop()])
    assert (dict(state.lost), state.reasons, state.complete) == (
        {"Metric": 7},
        {"queue full"},
        False,
    )


def test_twice_is_told() -> None:
    """An event that a journal holds twice is no event more, but told."""
    payloads = Run().whole(2)
    state = audit([*payloads, payloads[2]])
    assert (state.events, state.twice, state.complete) == (5, 1, False)


@pytest.mark.parametrize("cut", ["start", "stop"])
def test_both_ends_are_needed(cut: str) -> None:
    """Without its beginning or its end nothing proves that a run is complete."""
    payloads = Run().whole(2)
    assert not audit(payloads[1:] if cut == "start" else payloads[:-1]).complete


def test_a_repeated_start_is_no_beginning() -> None:
    """A start that was repeated for a new broker does not prove what came before it."""
    run = Run()
    run._seq = 50
    state = audit([run.start(again=True), run.metric(3), run.stop()])
    assert (state.begun, state.complete) == (False, False)


def test_records_of_the_broker_have_no_gaps() -> None:
    """A broker's own record, numbered by its offset, opens no gap; a lost run is not complete."""
    run = Run()
    journal = [run.start(), run.metric(1)]
    broker = Run(1, producer="broker-0f0f0f0f0f0f0f0f")
    broker._seq = 900
    journal.append(broker.emit(events.RunLostEvent(producer=f"{1:032x}", reason="lock")))
    state = audit(journal)
    assert (state.status, state.missing_count, state.complete) == ("lost", 0, False)
