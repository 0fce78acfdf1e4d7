"""Read metrics back from a database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, select
from sqlalchemy.sql import func

from drytorch_trackers.errors import TrackerError
from drytorch_trackers.loading import HistoryMetrics, SourcedMetrics
from drytorch_trackers.sql_tables import (
    bus_runs,
    bus_sources,
    bus_unfit,
    experiments,
    logs,
    runs,
    sources,
)
from drytorch_trackers.sql_values import Fit

_CHUNK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose metrics are wanted.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        run: UUID of the run.
        resumed: whether the run continues an earlier one, which DRYTorch itself may have written.
    """

    experiment: str
    run_id: str
    run: str
    resumed: bool


@dataclass(slots=True)
class _Pass:
    """What one source logged at one epoch."""

    epoch: int
    source: int
    values: dict[str, float]


@dataclass(slots=True)
class History:
    """What one source logged, as far as a later pass has not replaced it."""

    names: dict[str, None] = field(default_factory=dict)
    passes: list[_Pass] = field(default_factory=list)

    def add(self, source: int, epoch: int, name: str, value: float) -> None:
        """Add a value; a pass that goes back replaces what came at its epoch and after.

        Args:
            source: row of `sources`.
            epoch: the epoch.
            name: name of the metric.
            value: its value.
        """
        self.names[name] = None
        last = self.passes[-1] if self.passes else None
        if last is None or last.epoch != epoch or last.source != source:
            while self.passes and self.passes[-1].epoch >= epoch:
                self.passes.pop()
            self.passes.append(_Pass(epoch, source, {}))
        self.passes[-1].values[name] = value

    def columns(self) -> HistoryMetrics:
        """Return the epochs, and the values of each metric, NaN where it has none."""
        epochs = [each.epoch for each in self.passes]
        return epochs, {
            name: [each.values.get(name, math.nan) for each in self.passes]
            for name in self.names
            if any(name in each.values for each in self.passes)
        }


def load(
    connection: Connection, fit: Fit, wanted: Wanted, model_name: str, max_epoch: int
) -> SourcedMetrics:
    """Return the metrics of a model by source, in one pass over the table.

    Args:
        connection: an open connection.
        fit: what the database can hold.
        wanted: the run.
        model_name: name of the model.
        max_epoch: leave out later epochs; -1 for none.

    Raises:
        TrackerError: the run has no source of this model.
    """
    names = _sources(connection, _run_rows(connection, fit, wanted), fit.text(model_name))
    if not names:
        raise TrackerError(
            f"Run {wanted.run_id} has no source for model {model_name!r}: check the name."
        )
    found: dict[str, History] = {}
    for source, epoch, name, value in _values(connection, list(names), max_epoch):
        history = found.setdefault(names[source], History())
        history.add(source, epoch, name, math.nan if value is None else float(value))
    return {name: history.columns() for name, history in found.items()}


def _run_rows(connection: Connection, fit: Fit, wanted: Wanted) -> list[int]:
    """Return the rows of a run: its own, and for a resumed one those that DRYTorch wrote."""
    query = select(bus_runs.c.run_table_id).where(bus_runs.c.run == wanted.run)
    rows = list(connection.execute(query).scalars())
    if wanted.resumed:
        theirs = (
            select(runs.c.row_id)
            .join(experiments, experiments.c.row_id == runs.c.experiment_id)
            .outerjoin(bus_runs, bus_runs.c.run_table_id == runs.c.row_id)
            .where(
                runs.c.run_id == fit.text(wanted.run_id),
                experiments.c.experiment_name == fit.text(wanted.experiment),
                bus_runs.c.run_table_id.is_(None),
            )
        )
        rows += connection.execute(theirs).scalars()
    return rows


def _sources(connection: Connection, run_rows: list[int], model: str) -> dict[int, str]:
    query = (
        select(sources.c.row_id, sources.c.source_name)
        .where(sources.c.run_table_id.in_(run_rows), sources.c.model_name == model)
        .order_by(sources.c.row_id)
    )
    return dict(iter(connection.execute(query)))


def _values(
    connection: Connection, wanted: list[int], max_epoch: int
) -> Iterator[tuple[int, int, str, float | str | None]]:
    """Yield source, epoch, metric and value in the order in which they were written."""
    unfit = list(_unfit(connection, wanted, max_epoch))
    for row in _log_rows(connection, wanted, max_epoch):
        while unfit and unfit[0][0] < row[0]:
            yield unfit.pop(0)[1:]
        yield row[1:]
    for each in unfit:
        yield each[1:]


_Value = tuple[int, int, int, str, float | str | None]


def _log_rows(connection: Connection, wanted: list[int], max_epoch: int) -> Iterator[_Value]:
    query = (
        select(logs.c.row_id, logs.c.source_id, logs.c.epoch, logs.c.metric_name, logs.c.value)
        .where(logs.c.source_id.in_(wanted), logs.c.row_id > _before(connection, wanted))
        .order_by(logs.c.row_id)
    )
    if max_epoch != -1:
        query = query.where(logs.c.epoch <= max_epoch)
    return _streamed(connection, query)


def _unfit(connection: Connection, wanted: list[int], max_epoch: int) -> Iterable[_Value]:
    columns = bus_unfit.c
    query = (
        select(
            columns.logs_before,
            columns.source_id,
            columns.epoch,
            columns.metric_name,
            columns.value,
        )
        .where(columns.source_id.in_(wanted))
        .order_by(columns.row_id)
    )
    if max_epoch != -1:
        query = query.where(columns.epoch <= max_epoch)
    return _streamed(connection, query)


def _streamed(connection: Connection, query: sqlalchemy.Select[Any]) -> Iterator[_Value]:
    found = connection.execution_options(yield_per=_CHUNK).execute(query)
    rows: Iterator[Any] = map(tuple, found)
    return rows


def _before(connection: Connection, wanted: list[int]) -> int:
    """Return a row of `logs` before all of these sources; 0 where that is not known of all."""
    query = select(func.count(), func.min(bus_sources.c.logs_before)).where(
        bus_sources.c.source_id.in_(wanted)
    )
    known, first = connection.execute(query).one()
    return int(first) if known == len(wanted) else 0
