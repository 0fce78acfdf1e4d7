"""Light file trackers share a worker, and go on apart when that is split."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drytorch_client.declarations import Declaration
from drytorch_client.identity import RunIdentity
from drytorch_client.workers import owed
from drytorch_client.workers.plan import alone, plan_workers
from drytorch_client.workers.spec import SPLIT_CODE, WorkerSpec
from drytorch_client.workers.supervisor import LocalWorker, Supervisor
from hosts import eventually

CSV = "drytorch_trackers.csv_file:CSVDumper"


def planned(*declarations: Declaration) -> list[WorkerSpec]:
    """Return the workers of a run with these trackers."""
    identity = RunIdentity("Exp", "r", "ab" * 16, 0, "host")
    return plan_workers(declarations, identity, broker="ipc:///x", par_dir=Path("/p"))


def tracker(target: str, name: str = "") -> Declaration:
    """Return a declaration that is named after its target."""
    return Declaration(name=name or target, target=target)


@pytest.mark.parametrize(
    ("declarations", "together"),
    [
        (["yaml", "csv"], [["csv", "yaml"]]),
        (["csv"], [["csv"]]),
        (["memory", "yaml", CSV], [[CSV, "yaml"], ["memory"]]),
        ([CSV, "csv"], [[CSV], ["csv"]]),
        (["yaml", "progress", "csv", "console"], [["progress", "console"], ["csv", "yaml"]]),
        (["yaml", "my.module:MyDumper"], [["yaml"], ["my.module:MyDumper"]]),
    ],
)
def test_who_shares_a_worker(declarations: list[str], together: list[list[str]]) -> None:
    """Light file trackers share a worker, one of each kind, whatever the order they came in."""
    specs = planned(*map(tracker, declarations))
    assert [[each.name for each in spec.declarations] for spec in specs] == together
    assert [spec.splits for spec in specs] == [
        bool(spec.owed) and len(spec.declarations) > 1 for spec in specs
    ]


def test_what_is_handed_over_shares_nothing() -> None:
    """A tracker that only its training can start again must not hold back one that others could."""
    specs = planned(tracker("csv").with_code(b"x"), tracker("yaml"))
    assert sorted(len(spec.declarations) for spec in specs) == [1, 1]


def test_parts_have_the_same_names_each_time() -> None:
    """A part is named after what it shared and its kind, and has an entry and a log of its own."""
    (shared,) = planned(tracker("csv", "a b"), tracker("yaml", "a/b"))
    parts = [alone(shared, each) for each in shared.declarations]
    assert [part.name for part in parts] == [f"{shared.name}-csv", f"{shared.name}-yaml"]
    assert parts == [alone(shared, each) for each in shared.declarations]
    assert [Path(part.owed).stem for part in parts] == [part.name for part in parts]
    assert [Path(part.log_file).stem for part in parts] == [part.name for part in parts]
    assert not any(part.splits for part in parts)
    assert {part.filter.run for part in parts} == {shared.filter.run}


@pytest.fixture
def supervise() -> Iterator[Callable[[Callable[[WorkerSpec], str]], Supervisor]]:
    """Return supervisors whose workers run a script that depends on what they are told."""
    made: list[Supervisor] = []

    def make(script: Callable[[WorkerSpec], str]) -> Supervisor:
        made.append(Supervisor(lambda spec: [sys.executable, "-c", script(spec)]))
        return made[-1]

    yield make
    for each in made:
        each.let_go()
    eventually(lambda: all(each._thread is None for each in made), 10, "the supervisors rest")


def splitting(spec: WorkerSpec) -> str:
    """Return a script that splits where there is something to split; a part says its code."""
    code = SPLIT_CODE if spec.splits else {"csv": 73, "yaml": 0}[spec.declarations[0].target]
    return f"import sys; sys.exit({code})"


def test_parts_are_started_in_its_place(
    supervise: Callable[[Callable[[WorkerSpec], str]], Supervisor],
) -> None:
    """A worker that was split is waited for until its parts have ended, with their worst code."""
    (shared,) = planned(tracker("csv"), tracker("yaml"))
    for each in shared.declarations:
        owed.put(alone(shared, each))
    watch = supervise(splitting)
    worker = watch.start(shared)
    assert watch.wait([worker], 20) == []
    assert worker.exit_code == 73
    assert watch.gave_up([worker]) == ["csv"]
    assert [part.starts for part in worker.parts] == [1, 1]


def test_parts_that_stopped_or_settled_are_left_alone(
    supervise: Callable[[Callable[[WorkerSpec], str]], Supervisor],
) -> None:
    """What stopped with errors waits for `drytorch sync`, and what is no longer owed is done."""
    (shared,) = planned(tracker("csv"), tracker("yaml"))
    owed.put(alone(shared, shared.declarations[0]), "a tracker stopped with errors")
    watch = supervise(splitting)
    worker = watch.start(shared)
    assert watch.wait([worker], 20) == []
    assert (worker.exit_code, worker.parts) == (0, [])
    assert watch.gave_up([worker]) == ["csv"]


def test_only_what_is_at_work_is_named(
    supervise: Callable[[Callable[[WorkerSpec], str]], Supervisor], tmp_path: Path
) -> None:
    """While one part is at work, the worker that was split stands for that one alone."""
    (shared,) = planned(tracker("csv"), tracker("yaml"))
    for each in shared.declarations:
        owed.put(alone(shared, each))
    go = f"import time, os\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"

    def waiting(spec: WorkerSpec) -> str:
        return go if spec.name.endswith("-yaml") else splitting(spec)

    watch = supervise(waiting)
    worker = watch.start(shared)
    eventually(lambda: names(worker) == ["yaml"], 20, "one part has ended")
    assert watch.wait([worker], 0.1) == [worker]
    (tmp_path / "go").write_text("")
    assert watch.wait([worker], 20) == []


def names(worker: LocalWorker) -> list[str]:
    """Return the names of the trackers that a worker stands for."""
    return [each.name for each in worker.spec.declarations]


@pytest.mark.parametrize("code", [0, 64, 73, 75, 78])
def test_who_gave_up(
    supervise: Callable[[Callable[[WorkerSpec], str]], Supervisor], code: int
) -> None:
    """Whoever leaves with an error gave up, but for a worker whose name another one has."""
    watch = supervise(lambda _spec: f"import sys; sys.exit({code})")
    (spec,) = planned(tracker("csv"))
    worker = watch.start(spec)
    assert watch.gave_up([worker]) == []
    assert watch.wait([worker], 20) == []
    assert watch.gave_up([worker]) == ([] if code in {0, 75} else ["csv"])
