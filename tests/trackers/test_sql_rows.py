"""What the SQL tracker writes, on SQLite and on a real PostgreSQL."""

import datetime
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy

from deliveries import RUN_ID, RUN_TS, deliver, feed, metric, origin, start, stop
from drytorch_schemas import events
from drytorch_trackers import Delivery, SQLConnection, TrackerContext, TrackerError
from drytorch_trackers.sql_values import MAX_NAME_BYTES
from postgres_server import PostgresServer
from sql_rows import dump, metrics

LATER = RUN_TS + datetime.timedelta(days=1)
LONG = "é" * 5000


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
def url(request: pytest.FixtureRequest, tmp_path: Path, server: PostgresServer) -> sqlalchemy.URL:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return sqlalchemy.make_url(f"sqlite:///{tmp_path}/metrics.db")
    server.empty()
    return server.url


def actor(name: str = "Trainer", model: str = "net") -> events.ActorRegistrationEvent:
    """Return the registration of a source."""
    return events.ActorRegistrationEvent(
        actor_name=name, actor_ts=LATER, model_name=model, model_ts=RUN_TS, metadata={}
    )


def write(url: sqlalchemy.URL, deliveries: list[Delivery], folder: Path) -> None:
    """Feed a new tracker."""
    feed(SQLConnection(url), deliveries, folder)


def test_a_run(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """A start, its tags, a source, metrics of passes and of steps have their rows, once each."""
    happened = [start(tags=["a", "b"]), actor(), metric(1, loss=0.5, n=3), metric(1, step=7, lr=1)]
    update = events.UpdateExperimentEvent(config=None, tags=["a", "b", "b", "c"])
    deliveries = deliver([*happened, update, metric(2, loss=0.25), stop()])
    for _ in range(2):
        write(url, deliveries, tmp_path)
    rows = dump(url)
    assert rows["experiments"] == [(1, "Exp")]
    assert [row[1:] for row in rows["tags"]] == [(1, "a"), (1, "b"), (1, "b"), (1, "c")]
    assert rows["runs"] == [(1, RUN_ID, RUN_TS, 1)]
    assert rows["sources"] == [(1, "net", RUN_TS, "Trainer", LATER, 1)]
    assert metrics(url) == [
        ("Trainer", 1, "loss", 0.5),
        ("Trainer", 1, "n", 3.0),
        ("Trainer", 2, "loss", 0.25),
    ]
    assert rows["step_logs"] == [(1, 1, 1, 7, "lr", 1.0)]
    assert [row[1] for row in rows["bus_events"]] == [1, 2, 3, 4, 5, 6]


def test_numbers(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """NaN, infinities and integers beyond 64 bits are written, and NaN is NULL only on SQLite."""
    values = [math.nan, math.inf, -math.inf, 2**63, 5e-324, 1e308]
    happened = [metric(number, x=value) for number, value in enumerate(values)]
    steps = [metric(0, step=number, x=value) for number, value in enumerate(values)]
    write(url, deliver([start(), *happened, *steps]), tmp_path)
    nan = None if url.get_backend_name() == "sqlite" else "nan"
    expected = [nan, math.inf, -math.inf, float(2**63), 5e-324, 1e308]
    assert [row[3] for row in metrics(url)] == expected
    assert [row[5] for row in dump(url)["step_logs"]] == expected
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        query = sqlalchemy.text("SELECT created_at FROM logs")
        assert all(connection.execute(query).scalars())
    engine.dispose()


def test_names(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """Any name is written and found again; where an index has a bound, long ones are cut."""
    names = ["'; DROP TABLE logs; --", "a\0b", "%s)", LONG, LONG + "x", "\u202eabc", "", "\ud7ff"]
    happened = [
        metric(epoch, name, model=name, values={name: 1.0}) for epoch, name in enumerate(names, 1)
    ]
    write(url, deliver([start(tags=names), *happened]), tmp_path)
    loader = loading(url, tmp_path)
    sqlite = url.get_backend_name() == "sqlite"
    for epoch, name in enumerate(names, 1):
        ((source, (epochs, values)),) = loader.load_metrics(name).items()
        assert epochs == [epoch]
        assert list(values) == [source]
        if sqlite or len(name) < 100:
            assert source == (name if sqlite else name.replace("\0", "␀"))
        else:
            assert len(source.encode()) <= MAX_NAME_BYTES
            assert source[:900] == name[:900]
    assert len(dump(url)["tags"]) == len(names)


def loading(url: sqlalchemy.URL, folder: Path, *, resumed: bool = False) -> SQLConnection:
    """Return a tracker that knows the run which it was subscribed to."""
    loader = SQLConnection(url)
    loader.make_current(
        experiment="Exp", run_id=RUN_ID, run=origin().run, par_dir=folder, resumed=resumed
    )
    loader.reset_current()
    return loader


def test_sources_that_were_never_registered(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """A metric registers its source with the model's time, and even its run."""
    model = events.ModelRegistrationEvent(model_name="net", model_ts=LATER, architecture_repr="")
    write(url, deliver([start(), model, metric(1, x=1), metric(1, model="m", x=1)]), tmp_path)
    assert [row[1:] for row in dump(url)["sources"]] == [
        ("net", LATER, "Trainer", RUN_TS, 1),
        ("m", RUN_TS, "Trainer", RUN_TS, 1),
    ]
    orphan = origin("2" * 32, "other", "someone")
    write(url, deliver([metric(1, x=1)], orphan), tmp_path)
    assert [row[1] for row in dump(url)["runs"]] == [RUN_ID, "other"]
    late_start = start(run_id="other", run_ts=LATER, tags=["t"])
    write(url, deliver([late_start, metric(2, x=1)], orphan, first=2), tmp_path)
    assert [row[1:3] for row in dump(url)["runs"]] == [(RUN_ID, RUN_TS), ("other", LATER)]
    assert len(metrics(url)) == 4


def test_a_restarted_worker_goes_on(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """A tracker that begins in the middle finds run and source again, also in a shared database."""
    other = origin("1" * 32, "other", "q")
    mine = deliver([start(), actor(), *(metric(epoch, x=epoch) for epoch in range(1, 6))])
    theirs = deliver([start(run_id="other"), actor(), metric(1, x=0)], other)
    write(url, [*mine[:4], *theirs], tmp_path)
    for number in range(4, 7):
        replayed = [replace(each, replayed=True) for each in mine[:2]]
        write(url, [*replayed, *mine[number - 1 : number + 1]], tmp_path)
    rows = dump(url)
    assert len(rows["sources"]) == 2
    assert len(rows["runs"]) == 2
    assert [row[2] for row in rows["logs"] if row[1] == 1] == [1, 2, 3, 4, 5]


def test_context_that_is_told_again(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """What a client repeats for a new broker under new numbers adds no second run or source."""
    first = deliver([start(tags=["a"]), actor(), metric(1, x=1)])
    write(url, first, tmp_path)
    again = [
        replace(each, envelope=replace(each.envelope, again=True))
        for each in deliver([start(tags=["a"]), actor()], first=10)
    ]
    write(url, [*again, *deliver([metric(2, x=2)], first=12)], tmp_path)
    rows = dump(url)
    counts = [len(rows[name]) for name in ("experiments", "tags", "runs", "sources", "logs")]
    assert counts == [1, 1, 1, 1, 2]


def test_a_resumed_run(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """Each start has its rows; what is late or replayed of an earlier one stays with that."""
    before = deliver([start(), actor(), metric(1, x=1), metric(2, x=2), metric(3, x=3)])
    after = deliver([start(resumed=True), actor(), metric(3, x=30), metric(4, x=40)], first=6)
    elsewhere = origin(producer="another process")
    third = deliver([start(resumed=True), metric(4, x=400)], elsewhere)
    write(url, [*before[:-1], *after, *third], tmp_path)
    write(url, before, tmp_path)
    rows = dump(url)
    assert len(rows["experiments"]) == len(rows["runs"]) == len(rows["sources"]) == 3
    sources = [(row[1], row[2], row[4]) for row in rows["logs"]]
    expected = [(1, 1, 1.0), (1, 2, 2.0), (2, 3, 30.0), (2, 4, 40.0), (3, 4, 400.0), (1, 3, 3.0)]
    assert sources == expected
    assert loading(url, tmp_path).load_metrics("net")["Trainer"][0] == [1, 2, 3]


def test_a_forked_process(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """What a child reports under a producer of its own goes to its parent's run and source."""
    child = origin(producer="child")
    theirs = deliver([metric(1, x=2), metric(1, "Own", x=3)], child)
    write(url, [*deliver([start(), actor(), metric(1, x=1)]), *theirs], tmp_path)
    rows = dump(url)
    assert len(rows["runs"]) == 1
    assert [row[1] for row in rows["logs"]] == [1, 1, 2]
    assert [row[3] for row in rows["sources"]] == ["Trainer", "Own"]


def test_integers_that_no_column_holds(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """An epoch or step out of range is refused by itself; what comes with it is written."""
    tracker = SQLConnection(url)
    tracker.setup(TrackerContext(tmp_path))
    limit = 2**63 if url.get_backend_name() == "sqlite" else 2**31
    happened = [start(), metric(1, x=1), metric(limit, x=1), metric(0, step=2**63, x=1)]
    for delivery in deliver([*happened, metric(limit - 1, x=1)]):
        event = delivery.event
        bad = isinstance(event, events.MetricEvent) and (event.epoch == limit or event.step)
        if bad:
            with pytest.raises(TrackerError, match="out of the range"):
                tracker.handle(delivery)
        else:
            tracker.handle(delivery)
    tracker.clean_up()
    assert [row[1] for row in metrics(url)] == [1, limit - 1]


def test_missing_events_are_found(url: sqlalchemy.URL, tmp_path: Path) -> None:
    """What was never written, and what somebody deleted, is named; all else is there."""
    nan = metric(2, x=math.nan)
    happened = [start(), actor(), metric(1, x=1, y=2), nan, metric(1, step=3, x=1), metric(3, x=3)]
    deliveries = deliver(happened)
    tracker = SQLConnection(url)
    tracker.setup(TrackerContext(tmp_path))
    assert len(tracker.find_missing(deliveries)) == len(deliveries)
    write(url, deliveries[:-1], tmp_path)
    assert [(each.delivery.offset, each.noted) for each in tracker.find_missing(deliveries)] == [
        (6, False)
    ]
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM logs WHERE metric_name = 'y'"))
        connection.execute(sqlalchemy.text("DELETE FROM step_logs"))
    engine.dispose()
    found = {each.delivery.offset: each.noted for each in tracker.find_missing(deliveries)}
    assert found == {3: True, 5: True, 6: False}
