"""The SQL tracker is killed, shut out and raced by others, and the rows come out the same."""

import functools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sql_child
from deliveries import deliver, feed, metric, start
from drytorch_schemas.failpoints import VARIABLE
from drytorch_trackers import SQLConnection, TrackerContext, sql_address
from drytorch_trackers.errors import BackendAwayError, TrackerError
from drytorch_trackers.hosted import HostedTracker, Pace, Policy
from postgres_server import PASSWORD, PostgresServer
from sql_child import EVENTS, feed_from
from sql_rows import dump

POINTS = ["sql.written", "sql.committed"]


@pytest.fixture(scope="module", autouse=True)  # it must be there before a test looks at processes
def server() -> Iterator[PostgresServer]:
    """Return a running PostgreSQL."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, server: PostgresServer) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/metrics.db"
    server.empty()
    return str(SQLConnection(server.url).declared()[1]["url"])


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Return the rows of a tracker that nobody disturbs."""
    folder = tmp_path_factory.mktemp("calm")
    url = f"sqlite:///{folder}/metrics.db"
    feed_from(url, folder, 0)
    return without_keys(url)


def without_keys(url: str | sqlalchemy.URL) -> dict[str, list[Any]]:
    """Return the rows of DRYTorch's tables and `step_logs` in any order, without surrogate keys."""
    rows = dump(url)
    names = {row[0]: (row[1], row[3]) for row in rows["sources"]}
    found = {
        "runs": [row[1:3] for row in rows["runs"]],
        "tags": [row[2] for row in rows["tags"]],
        "sources": [row[1:5] for row in rows["sources"]],
        "events": [row[:3] for row in rows["bus_events"]],
    }
    for table in ("logs", "step_logs"):
        found[table] = [(names[row[1]], *map(_plain, row[2:])) for row in rows[table]]
    return {name: sorted(each, key=repr) for name, each in found.items()}


def _plain(value: Any) -> Any:
    return None if value == "nan" else value


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("point", POINTS)
def test_killed_process(
    url: str, tmp_path: Path, expected: dict[str, list[Any]], point: str, count: int
) -> None:
    """Killed before or after a commit, started again at its cursor, it has all rows once (D2)."""
    command = [sys.executable, sql_child.__file__, str(tmp_path), "0"]
    environment = os.environ | {VARIABLE: f"{point}:{count}", sql_child.VARIABLE: url}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    cursor = tmp_path / "cursor"
    feed_from(url, tmp_path, int(cursor.read_text()) if cursor.exists() else 0)
    assert without_keys(url) == expected


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 12)), max_size=4))
def test_any_overlapping_parts(
    tmp_path_factory: pytest.TempPathFactory,
    expected: dict[str, list[Any]],
    parts: list[tuple[int, int]],
) -> None:
    """In whatever overlapping parts the events come, and come again, all rows are there once."""
    folder = tmp_path_factory.mktemp("parts")
    url = f"sqlite:///{folder}/metrics.db"
    deliveries = deliver(EVENTS)
    covered = 0
    for first, size in parts:
        begin = min(first, covered)  # a worker goes back, but never passes over anything
        feed(SQLConnection(url), deliveries[begin : begin + size], folder)
        covered = max(covered, min(begin + size, len(deliveries)))
    feed(SQLConnection(url), deliveries[covered:], folder)
    assert without_keys(url) == expected


def test_workers_at_once(url: str, tmp_path: Path, expected: dict[str, list[Any]]) -> None:
    """Several workers that write the same events into a new database at once add each row once."""
    barrier = threading.Barrier(4)

    def work(size: int) -> None:
        tracker = SQLConnection(url)
        tracker.setup(TrackerContext(tmp_path, "worker"))
        barrier.wait(30)
        for number, delivery in enumerate(deliver(EVENTS)):
            _insist(functools.partial(tracker.handle, delivery))
            if number % size == size - 1:
                _insist(tracker.flush)
        _insist(tracker.clean_up)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(work, size) for size in (1, 2, 3, 20)]:
            each.result(60)
    assert without_keys(url) == expected


def _insist(action: Callable[[], None]) -> None:
    """Try until the database is not in use by another worker."""
    end = time.monotonic() + 60
    while True:
        try:
            action()
        except BackendAwayError:
            if time.monotonic() > end:
                raise
        else:
            return


def hosted(
    tracker: SQLConnection, pauses: list[float], told: list[str], on_pause: Callable[[], object]
) -> HostedTracker:
    """Return a tracker as a worker calls it, with pauses in which something happens."""

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        on_pause()

    policy = Policy(wait_for_backend=True)
    return HostedTracker("SQLConnection", tracker, policy, Pace(sleep), told.append)


def test_a_locked_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the file locked nothing is lost, and the user is told once."""
    monkeypatch.setattr(sql_address, "SQLITE_BUSY_SECONDS", 0.02)
    file = tmp_path / "metrics.db"
    tracker = SQLConnection(f"sqlite:///{file}")
    deliveries = deliver([start(), metric(1, loss=1), metric(2, loss=2)])
    feed(tracker, deliveries[:2], tmp_path)
    pauses: list[float] = []
    told: list[str] = []
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        each = hosted(tracker, pauses, told, lambda: len(pauses) == 9 and other.execute("ROLLBACK"))
        each.setup(TrackerContext(tmp_path))
        assert each.handle(deliveries[2])
        assert each.flush()
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert not each.failures
    assert not each.broken
    assert [row[2] for row in dump(f"sqlite:///{file}")["logs"]] == [1, 2]
    name = f"Database sqlite:///{file}"
    locked = f"SQLConnection waits: {name} cannot be used at the moment: database is locked"
    assert told == [locked, "SQLConnection goes on"]


def test_a_removed_file_is_made_again(tmp_path: Path) -> None:
    """A file that was removed while the tracker works is made again; what follows is in it."""
    file = tmp_path / "new" / "metrics.db"
    tracker = SQLConnection(f"sqlite:///{file}")
    tracker.setup(TrackerContext(tmp_path))
    deliveries = deliver([start(), metric(1, loss=1), metric(2, loss=2)])
    for delivery in deliveries[:2]:
        tracker.handle(delivery)
    tracker.flush()
    file.unlink()
    tracker.handle(deliveries[2])
    with pytest.raises(BackendAwayError, match="no such table"):
        tracker.flush()
    tracker.flush()
    tracker.clean_up()
    rows = dump(f"sqlite:///{file}")
    assert [row[2] for row in rows["logs"]] == [2]
    assert rows["runs"][0][1] == deliveries[0].envelope.origin.run_id


def test_other_tables_are_refused(tmp_path: Path) -> None:
    """A database whose tables have the same names and other columns is left alone."""
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE runs (row_id INTEGER PRIMARY KEY, distance REAL)")
    tracker = SQLConnection(f"sqlite:///{file}")
    tracker.setup(TrackerContext(tmp_path))
    with pytest.raises(TrackerError, match=r"Table runs of .* has no column run_id"):
        tracker.handle(deliver([metric(1, x=1)])[0])


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """A server away at the start, in the middle and at the end costs and shows nothing (D11)."""
    server = PostgresServer()
    pauses: list[float] = []
    told: list[str] = []
    tracker = SQLConnection(server.url)

    def on_pause() -> None:
        if len(pauses) % 2 == 0:
            server.start()

    each = hosted(tracker, pauses, told, on_pause)
    each.setup(TrackerContext(tmp_path))
    try:
        for number, delivery in enumerate(deliver(EVENTS)):
            if number in {5, len(EVENTS) - 1}:
                server.stop()
            assert each.handle(delivery)
            if number % 3 == 2:
                assert each.flush()
        assert each.flush()
        assert pauses == [0.1, 0.2] * 3
        assert not each.failures
        assert len(dump(server.url)["bus_events"]) == len(EVENTS) - 1
        assert PASSWORD not in "".join(told) + each.last_error + each.last_traceback
        assert "***" in each.last_error
        assert [text.split()[1] for text in told] == ["waits:", "goes"] * 3
        assert PASSWORD not in server.log()
    finally:
        server.close()
