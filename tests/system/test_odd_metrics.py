"""A training with NaN, a late metric and odd names, into CSV and SQL, read back and repaired."""

import math
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hosts import SCRIPTS, Host, eventually

CSV = Path("out", "csv_metrics", "Odd", "r", "net", "Trainer.csv")
METRICS = """
    SELECT experiment_name, run_id, model_name, source_name, epoch, metric_name, value
    FROM logs JOIN sources ON sources.row_id = source_id
    JOIN runs ON runs.row_id = run_table_id
    JOIN experiments ON experiments.row_id = experiment_id
    ORDER BY logs.row_id
"""


def rows_of(database: Path, query: str = METRICS) -> list[Any]:
    """Return what a query gives; nothing where there are no tables yet."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def expected() -> list[Any]:
    """Return the rows that the script's metrics should have."""
    found: list[Any] = []
    for epoch in range(1, 5):
        metrics = {"loss": None if epoch == 2 else 1.5, "bad)name%s": 1.0}
        if epoch > 2:
            metrics["late"] = math.inf
        found += [
            ("Odd", "r", "net", "Trainer", epoch, name, value) for name, value in metrics.items()
        ]
    return found


@pytest.mark.system(deadline=60)
def test_odd_metrics_reach_csv_and_sql(host: Host, tmp_path: Path) -> None:
    """NaN, infinity, a late metric and an odd name are in both files, and a replay adds nothing."""
    done = host.run(sys.executable, SCRIPTS / "contract_odd_metrics.py")
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 40, "the workers leave")
    database = tmp_path / "odd.db"
    assert rows_of(database) == expected()
    assert (tmp_path / CSV).read_text().splitlines() == [
        '"Model","Source","Epoch","loss","bad)name%s","late"',
        '"net","Trainer",1,1.5,1,',
        '"net","Trainer",2,nan,1,',
        '"net","Trainer",3,1.5,1,inf',
        '"net","Trainer",4,1.5,1,inf',
    ]
    journal = next((Path(host.environment["XDG_STATE_HOME"]) / "drytorch").rglob("journal"))
    whole = dump(database)
    for target in ("odd.db", "copy.db", "copy.db"):
        options = ("-o", f"url=sqlite:///{target}")
        replayed = host.drytorch("replay", journal, "--to", "sql", *options)
        assert replayed.returncode == 0, replayed.stderr
        assert dump(tmp_path / target) == whole


def dump(database: Path) -> dict[str, list[Any]]:
    """Return all tables of a database, but for the times of writing."""
    tables = rows_of(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
    assert len(tables) == 10
    with closing(sqlite3.connect(database)) as connection:
        found: dict[str, list[Any]] = {}
        for (name,) in tables:
            cursor = connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2")  # noqa: S608 - our own tables' names
            columns = [each[0] for each in cursor.description]
            found[name] = [
                tuple(
                    value
                    for column, value in zip(columns, row, strict=True)
                    if column != "created_at"
                )
                for row in cursor
            ]
        return found
