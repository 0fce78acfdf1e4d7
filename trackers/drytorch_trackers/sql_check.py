"""Which events a database does not hold: by the rows of its tables, not by its list of events."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, select

from drytorch_schemas import events
from drytorch_trackers.delivery import Delivery, Missing
from drytorch_trackers.sql_tables import bus_events, bus_unfit, logs, runs, sources, step_logs
from drytorch_trackers.sql_values import Fit

_CHUNK: Final = 500

#: Source, epoch, step (None for a pass) and metric.
_Key = tuple[int, int, int | None, str]


def lacking(opened: tuple[Connection, Fit] | None, deliveries: Iterable[Delivery]) -> list[Missing]:
    """Return the events that have not all of their rows.

    Args:
        opened: an open connection, and what the database can hold; None where there is none.
        deliveries: events of one run.
    """
    if opened is None:
        return [Missing(each) for each in deliveries]
    connection, fit = opened
    missing: list[Missing] = []
    noted: list[tuple[Delivery, int | None]] = []
    for chunk in _chunks(deliveries):
        rows = _noted(connection, chunk)
        for each in chunk:
            if each.envelope.identity in rows:
                noted.append((each, rows[each.envelope.identity]))
            else:
                missing.append(Missing(each))
    return missing + [Missing(each, noted=True) for each in _without_rows(connection, fit, noted)]


def _chunks(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    left = iter(deliveries)
    while chunk := list(itertools.islice(left, _CHUNK)):
        yield chunk


def _noted(connection: Connection, chunk: Sequence[Delivery]) -> dict[tuple[str, int], int | None]:
    """Return the rows of those events that are noted as written."""
    wanted: dict[str, list[int]] = {}
    for each in chunk:
        producer, seq = each.envelope.identity
        wanted.setdefault(producer, []).append(seq)
    found: dict[tuple[str, int], int | None] = {}
    for producer, numbers in wanted.items():
        query = select(bus_events.c.seq, bus_events.c.row_id).where(
            bus_events.c.producer == producer, bus_events.c.seq.in_(numbers)
        )
        for seq, row_id in connection.execute(query):
            found[producer, seq] = row_id
    return found


def _without_rows(
    connection: Connection, fit: Fit, noted: Sequence[tuple[Delivery, int | None]]
) -> list[Delivery]:
    """Return the events whose rows somebody has removed."""
    wanted = {row_id for _, row_id in noted if row_id is not None}
    there = {
        events.StartExperimentEvent: _present(connection, runs, wanted),
        events.ActorRegistrationEvent: _present(connection, sources, wanted),
    }
    metrics = _metrics(connection, wanted)
    gone: list[Delivery] = []
    for each, row_id in noted:
        event = each.event
        if row_id is None:
            continue
        if isinstance(event, events.MetricEvent):
            keys = [(row_id, event.epoch, event.step, fit.text(name)) for name in event.metrics]
            if all(metrics[key] > 0 for key in keys):
                metrics.subtract(keys)
            else:
                gone.append(each)
        elif row_id not in there.get(type(event), {row_id}):
            gone.append(each)
    return gone


def _present(connection: Connection, table: sqlalchemy.Table, wanted: set[int]) -> set[int]:
    return {
        row_id
        for numbers in _batches(wanted)
        for row_id in connection.execute(
            select(table.c.row_id).where(table.c.row_id.in_(numbers))
        ).scalars()
    }


def _metrics(connection: Connection, wanted: set[int]) -> Counter[_Key]:
    """Count the metrics of some sources in all tables that hold any."""
    found: Counter[_Key] = Counter()
    for table in (logs, bus_unfit, step_logs):
        columns: Any = table.c
        step = columns.step if table is step_logs else sqlalchemy.null()
        for numbers in _batches(wanted):
            query = select(columns.source_id, columns.epoch, step, columns.metric_name)
            rows = connection.execute(query.where(columns.source_id.in_(numbers)))
            found.update((row[0], row[1], row[2], row[3]) for row in rows)
    return found


def _batches(wanted: set[int]) -> Iterator[list[int]]:
    ordered = sorted(wanted)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
