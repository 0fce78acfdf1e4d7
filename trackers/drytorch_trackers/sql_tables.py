"""The tables: DRYTorch's five, name by name, and this project's own beside them.

DRYTorch's five have its columns, types and indexes; only `logs.value` may be NULL where this
package creates the table, since SQLite keeps NaN as NULL. Our own tables: `step_logs` holds metrics
of steps; the others start with `bus_` and hold what makes writing an event twice change nothing.
They name rows of DRYTorch's tables without a foreign key, so that a user can delete those.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy
from sqlalchemy import BigInteger, DateTime, Double, ForeignKey, Integer, String, Table
from sqlalchemy.sql import func

metadata: Final = sqlalchemy.MetaData()


def _column(name: str, *kind: Any, **options: Any) -> sqlalchemy.Column[Any]:
    return sqlalchemy.Column(name, *kind, **{"nullable": False, **options})


def _row_id() -> sqlalchemy.Column[Any]:
    return _column("row_id", Integer, primary_key=True, autoincrement=True)


experiments: Final = Table(
    "experiments", metadata, _row_id(), _column("experiment_name", String, index=True)
)

tags: Final = Table(
    "tags",
    metadata,
    _row_id(),
    _column("experiment_id", Integer, ForeignKey("experiments.row_id")),
    _column("text", String, index=True),
)

#: One row for each start of a run, also where it is resumed.
runs: Final = Table(
    "runs",
    metadata,
    _row_id(),
    _column("run_id", String, index=True),
    _column("run_ts", DateTime),
    _column("experiment_id", Integer, ForeignKey("experiments.row_id")),
)

sources: Final = Table(
    "sources",
    metadata,
    _row_id(),
    _column("model_name", String, index=True),
    _column("model_ts", DateTime),
    _column("source_name", String, index=True),
    _column("source_ts", DateTime),
    _column("run_table_id", Integer, ForeignKey("runs.row_id")),
)

#: One row for each metric of a pass.
logs: Final = Table(
    "logs",
    metadata,
    _row_id(),
    _column("source_id", Integer, ForeignKey("sources.row_id")),
    _column("epoch", Integer, index=True),
    _column("metric_name", String, index=True),
    _column("value", Double, nullable=True),
    _column("created_at", DateTime, default=func.now()),
)

#: One row for each metric of a step.
step_logs: Final = Table(
    "step_logs",
    metadata,
    _row_id(),
    _column("source_id", Integer, ForeignKey("sources.row_id"), index=True),
    _column("epoch", BigInteger),
    _column("step", BigInteger, index=True),
    _column("metric_name", String, index=True),
    _column("value", Double, nullable=True),
    _column("created_at", DateTime, default=func.now()),
)

#: The events that were written, and the row of each: of `runs` for a start, else of `sources`.
bus_events: Final = Table(
    "bus_events",
    metadata,
    _column("producer", String, primary_key=True),
    _column("seq", BigInteger, primary_key=True, autoincrement=False),
    _column("kind", String),
    _column("row_id", Integer, nullable=True),
    sqlite_with_rowid=False,
)

#: Whose the rows of `runs` are: UUID of the run, and the event that started it there. Producer and
#: number are empty where the run's start was never seen.
bus_runs: Final = Table(
    "bus_runs",
    metadata,
    _column("run_table_id", Integer, primary_key=True, autoincrement=False),
    _column("run", String, index=True),
    _column("producer", String),
    _column("seq", BigInteger),
)

#: Whose the rows of `sources` are, and the last row of `logs` before there was any of theirs.
bus_sources: Final = Table(
    "bus_sources",
    metadata,
    _column("source_id", Integer, primary_key=True, autoincrement=False),
    _column("producer", String, index=True),
    _column("logs_before", Integer),
)

#: Values that the table `logs` of this database cannot hold, as text; `logs_before` is the last row
#: of `logs` that was written before.
bus_unfit: Final = Table(
    "bus_unfit",
    metadata,
    _row_id(),
    _column("source_id", Integer, index=True),
    _column("epoch", Integer),
    _column("metric_name", String),
    _column("value", String),
    _column("logs_before", Integer),
    _column("created_at", DateTime, default=func.now()),
)

#: DRYTorch's tables.
UPSTREAM: Final = (experiments, tags, runs, sources, logs)
