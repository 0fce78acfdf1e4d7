"""Writes events in one transaction: each once, or none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, Engine, exc, select

from drytorch_schemas import events
from drytorch_schemas.failpoints import Failpoints
from drytorch_trackers.delivery import Delivery
from drytorch_trackers.sql_runs import ModelTimes, RunRows, last_log
from drytorch_trackers.sql_tables import bus_events, bus_unfit, logs, step_logs
from drytorch_trackers.sql_values import Fit

#: Attempts at a transaction in which another writer was faster.
_ATTEMPTS: Final = 5

Row = dict[str, Any]
Identity = tuple[str, int]


class Writer:
    """Writes events into one database.

    Attributes:
        rows: the rows of runs and sources.
    """

    def __init__(self, engine: Engine, fit: Fit, models: ModelTimes) -> None:
        """Initialize.

        Args:
            engine: leads to the database; its tables exist.
            fit: what the database can hold.
            models: when models were made.
        """
        self.rows = RunRows(fit, models)
        self._engine = engine
        self._fit = fit
        self._failpoints = Failpoints.get()

    def check(self, event: events.MetricEvent) -> None:
        """Refuse a metric that this database cannot hold, before others depend on it.

        Args:
            event: the metric.

        Raises:
            TrackerError: its epoch or step is out of range.
        """
        if event.step is None:
            self._fit.check("Epoch", event.epoch)
        else:
            self._fit.check("Epoch", event.epoch, "BIGINT")
            self._fit.check("Step", event.step, "BIGINT")

    def write(self, batch: Sequence[Delivery]) -> None:
        """Write events in their order, but for those that are there already.

        Args:
            batch: the events, each once.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: nothing of them was written.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self._engine.begin() as connection:
                    self._apply(connection, batch)
                    self._hit("sql.written")
            except exc.IntegrityError:
                # another worker has just written one of them
                self.rows.forget()
                if attempt == _ATTEMPTS - 1:
                    raise
            except BaseException:
                self.rows.forget()
                raise
            else:
                self._hit("sql.committed")
                return

    def _apply(self, connection: Connection, batch: Sequence[Delivery]) -> None:
        known = _known(connection, batch)
        noted: list[Row] = []
        metrics: list[Row] = []
        steps: list[Row] = []
        for each in batch:
            if each.envelope.identity in known:
                continue
            event = each.event
            row_id: int | None
            if isinstance(event, events.MetricEvent):
                row_id = self._source_of(connection, each, event)
                if event.step is not None:
                    steps += self._step_rows(row_id, event)
                elif unfit := self._add_metrics(metrics, row_id, event):
                    _insert(connection, logs, metrics)
                    metrics = []
                    _add_unfit(connection, unfit)
            else:
                row_id = self._add_context(connection, each)
            producer, seq = each.envelope.identity
            kind = each.envelope.kind
            noted.append({"producer": producer, "seq": seq, "kind": kind, "row_id": row_id})
        _insert(connection, logs, metrics)
        _insert(connection, step_logs, steps)
        _insert(connection, bus_events, noted)

    def _add_context(self, connection: Connection, delivery: Delivery) -> int | None:
        envelope, event = delivery.envelope, delivery.event
        if isinstance(event, events.StartExperimentEvent):
            return self.rows.start(connection, envelope, event)
        if isinstance(event, events.ActorRegistrationEvent):
            return self.rows.register(connection, envelope, event)
        start = self.rows.find(connection, envelope)
        if isinstance(event, events.UpdateExperimentEvent):
            self.rows.add_tags(connection, start.row_id, event.tags)
        return start.row_id

    def _source_of(
        self, connection: Connection, delivery: Delivery, event: events.MetricEvent
    ) -> int:
        pair = (event.model_name, event.source_name)
        return self.rows.source(connection, delivery.envelope, pair)

    def _add_metrics(self, rows: list[Row], source: int, event: events.MetricEvent) -> list[Row]:
        """Add the rows of a pass, and return those that the table cannot hold."""
        unfit: list[Row] = []
        for name, given in event.metrics.items():
            value = self._fit.number(given)
            row = {
                "source_id": source,
                "epoch": event.epoch,
                "metric_name": self._fit.text(name),
                "value": value,
            }
            if self._fit.fits(value):
                rows.append(row)
            else:
                unfit.append({**row, "value": repr(float(given))})
        return unfit

    def _step_rows(self, source: int, event: events.MetricEvent) -> list[Row]:
        return [
            {
                "source_id": source,
                "epoch": event.epoch,
                "step": event.step,
                "metric_name": self._fit.text(name),
                "value": self._fit.number(value),
            }
            for name, value in event.metrics.items()
        ]

    def _hit(self, name: str) -> None:
        if self._failpoints is not None:
            self._failpoints.hit(name)


def _known(connection: Connection, batch: Sequence[Delivery]) -> set[Identity]:
    """Return which of some events are written already."""
    wanted: dict[str, list[int]] = {}
    for each in batch:
        producer, seq = each.envelope.identity
        wanted.setdefault(producer, []).append(seq)
    known: set[Identity] = set()
    for producer, numbers in wanted.items():
        query = select(bus_events.c.seq).where(
            bus_events.c.producer == producer, bus_events.c.seq.in_(numbers)
        )
        known.update((producer, seq) for seq in connection.execute(query).scalars())
    return known


def _insert(connection: Connection, table: sqlalchemy.Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(sqlalchemy.insert(table), rows)


def _add_unfit(connection: Connection, rows: list[Row]) -> None:
    last = last_log(connection)
    _insert(connection, bus_unfit, [{**row, "logs_before": last} for row in rows])
