"""DRYTorch's own SQLConnection and ours, given the same events, leave the same rows."""

import copy
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

import upstream_events as ev
from deliveries import RUN_ID, deliver, feed, metric, origin
from drytorch_schemas import events
from drytorch_trackers import SQLConnection
from drytorch_trackers.sql_tables import UPSTREAM
from sql_rows import dump, metrics

SCRIPT = Path(__file__).parents[1] / "support" / "upstream_sql.py"
FIVE = [table.name for table in UPSTREAM]


def registered(run: ev.Run, **start: Any) -> ev.Run:
    """Return a run in which each source is registered before its first metric."""
    done: ev.Run = []
    known: set[tuple[str, str]] = set()
    for name, fields in copy.deepcopy(run):
        if name == "ActorRegistrationEvent":
            continue
        if name == "StartExperimentEvent":
            fields.update(start)
        pair = (str(fields.get("source_name")), str(fields.get("model_name")))
        if name == "MetricEvent" and pair not in known:
            known.add(pair)
            done.append(ev._actor(*pair))
        done.append((name, fields))
    return done


def without_odd_values(run: ev.Run) -> ev.Run:
    """Return a run without the values that DRYTorch's tracker ends with."""
    kept = copy.deepcopy(run)
    for _, fields in kept:
        if "metrics" in fields:
            values: dict[str, float] = fields["metrics"]
            odd = [name for name, value in values.items() if math.isnan(value)]
            fields["metrics"] = values | dict.fromkeys(odd, 0.0)
    return kept


WHOLE: dict[str, list[ev.Run]] = {
    "training": [registered(ev.TRAINING, tags=["lr=0.01", "a"])],
    "early": [registered(ev.EARLY_STOP)],
    "odd": [registered(ev.ODD)],
    "resumed": [registered(ev.TRAINING), registered(ev.RESUMED, tags=["again"])],
    "two": [registered(ev.TRAINING), registered(ev.with_run_id(ev.TRAINING, "another"))],
    "values": [registered(without_odd_values(ev.VALUES))],
}
DROPPED: dict[str, list[ev.Run]] = {
    "never registered": [ev.TRAINING],
    "diverged": [registered(ev.VALUES)],
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let DRYTorch's tracker write all scenarios in one process."""
    folder = tmp_path_factory.mktemp("upstream")
    spec = {str(folder / f"{name}.db"): runs for name, runs in (WHOLE | DROPPED).items()}
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, str(SCRIPT), str(folder / "spec.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"{name}.db" for name in DROPPED
    ]
    return folder


def make(name: str, fields: dict[str, Any]) -> events.Event:
    """Return our event."""
    event_class: type[events.Event] = getattr(events, name)
    return event_class(**ev.typed(copy.deepcopy(fields)))


def write(runs: list[ev.Run], file: Path) -> str:
    """Let our tracker write runs, and return the database's URL."""
    url = f"sqlite:///{file}"
    seq = 1
    for number, run in enumerate(runs):
        run_id = run[0][1]["run_id"]
        uuid = origin().run if run_id == RUN_ID else str(number) * 32
        deliveries = deliver([make(*each) for each in run], origin(uuid, run_id), first=seq)
        seq += len(deliveries)
        feed(SQLConnection(url), deliveries, file.parent)
    return url


@pytest.mark.parametrize("name", WHOLE)
def test_rows_are_equal(theirs: Path, tmp_path: Path, name: str) -> None:
    """Row for row, keys included, all five tables hold the same but for the time of writing."""
    expected = dump(f"sqlite:///{theirs / name}.db")
    ours = dump(write(WHOLE[name], tmp_path / "ours.db"))
    assert list(expected) == [table for table in ours if table in FIVE]
    assert {table: ours[table] for table in expected} == expected
    assert len(expected["logs"]) > 1


@pytest.mark.parametrize("name", DROPPED)
def test_where_theirs_is_dropped_it_is_a_prefix(theirs: Path, tmp_path: Path, name: str) -> None:
    """Where DRYTorch's tracker ends with an error, ours begins with the same and goes on."""
    expected = dump(f"sqlite:///{theirs / name}.db", *FIVE)
    ours = dump(write(DROPPED[name], tmp_path / "ours.db"), *FIVE)
    for table, rows in expected.items():
        assert ours[table][: len(rows)] == rows
    assert len(ours["logs"]) > len(expected["logs"]) > 0


def test_tables_are_equal(theirs: Path, tmp_path: Path) -> None:
    """Names, types and indexes are DRYTorch's; only `value` may be NULL in ours."""
    shapes = []
    for file in (theirs / "training.db", tmp_path / "ours.db"):
        if file.parent == tmp_path:
            write([ev.TRAINING], file)
        engine = sqlalchemy.create_engine(f"sqlite:///{file}")
        with engine.connect() as connection:
            query = sqlalchemy.text("SELECT tbl_name, name, sql FROM sqlite_master ORDER BY 1, 2")
            rows = connection.execute(query).fetchall()
        engine.dispose()
        shapes.append({row[1]: row[2] for row in rows if row[0] in FIVE})
    assert shapes[1]["logs"].replace("value DOUBLE,", "value DOUBLE NOT NULL,") == shapes[0]["logs"]
    assert shapes[1] | {"logs": shapes[0]["logs"]} == shapes[0]


def test_their_database_is_gone_on_with(theirs: Path, tmp_path: Path) -> None:
    """In a table that refuses NULL, NaN is kept beside it and read at its place; old rows too."""
    file = tmp_path / "theirs.db"
    file.write_bytes((theirs / "training.db").read_bytes())
    before = dump(f"sqlite:///{file}")["logs"]
    url = f"sqlite:///{file}"
    happened = [make(*each) for each in registered(ev.RESUMED)[:2]]
    nan = float("nan")
    happened += [metric(4, loss=nan), metric(5, loss=0.5, accuracy=nan), metric(6, loss=nan)]
    for _ in range(2):
        feed(SQLConnection(url), deliver(happened), tmp_path)
    assert metrics(url)[len(before) :] == [("Trainer", 5, "loss", 0.5)]
    assert [row[2:5] for row in dump(url)["bus_unfit"]] == [
        (4, "loss", "nan"),
        (5, "accuracy", "nan"),
        (6, "loss", "nan"),
    ]
    loader = SQLConnection(url)
    loader.make_current(
        experiment="Exp", run_id=RUN_ID, run=origin().run, par_dir=tmp_path, resumed=True
    )
    loader.reset_current()
    epochs, values = loader.load_metrics("net")["Trainer"]
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert list(map(str, values["loss"])) == ["1.5", "0.5", "0.375", "nan", "0.5", "nan"]
    assert list(map(str, values["accuracy"]))[2:] == ["0.75", "nan", "nan", "nan"]
    assert loader.load_metrics("net", 4)["Trainer"][0] == [1, 2, 3, 4]
