"""The rows of runs and sources: found again after a restart, or made where they are not there."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, select

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope, Origin
from drytorch_trackers.sql_tables import bus_runs, bus_sources, experiments, logs, runs, sources
from drytorch_trackers.sql_tables import tags as tags_table
from drytorch_trackers.sql_values import Fit

_REMEMBERED: Final = 1000

#: Model and source.
Pair = tuple[str, str]
#: Timestamp of a model, by the run's UUID and the model's name.
ModelTimes = Mapping[tuple[str, str], datetime.datetime]


@dataclass(slots=True)
class Start:
    """One start of a run as it stands in the database.

    Attributes:
        row_id: its row of `runs`.
        seq: number of the event that started it; 0 where that was never seen.
        run_ts: the run's timestamp.
        sources: rows of `sources` by model and source.
    """

    row_id: int
    seq: int
    run_ts: datetime.datetime
    sources: dict[Pair, int] = field(default_factory=dict)


class RunRows:
    """Rows of runs and sources, by the producer whose events lead to them.

    What is remembered is only good while no transaction fails: `forget` it then.
    """

    def __init__(self, fit: Fit, models: ModelTimes) -> None:
        """Initialize.

        Args:
            fit: what the database can hold.
            models: when models were made, for sources that are never registered.
        """
        self._fit = fit
        self._models = models
        self._starts: dict[tuple[str, str], Start] = {}

    def forget(self) -> None:
        """Forget all rows: they are looked up again."""
        self._starts.clear()

    def start(
        self, connection: Connection, envelope: Envelope, event: events.StartExperimentEvent
    ) -> int | None:
        """Add a run's start.

        Args:
            connection: an open transaction.
            envelope: where the event came from.
            event: the start.

        Returns:
            The row of `runs`; None where the event starts none, since it is told again.
        """
        origin = envelope.origin
        if envelope.again and self._find(connection, origin, envelope.seq, own=True):
            return None
        row_id = None if event.resumed else self._adopt(connection, envelope, event)
        if row_id is None:
            row_id = self._add_run(
                connection, origin, event.run_ts, producer=origin.producer, seq=envelope.seq
            )
        self.add_tags(connection, row_id, event.tags)
        self._forget_guests(origin.run)
        self._remember(origin, Start(row_id, envelope.seq, event.run_ts))
        return row_id

    def find(self, connection: Connection, envelope: Envelope) -> Start:
        """Return the start that an event belongs to; it is made where there is none.

        Args:
            connection: an open transaction.
            envelope: the event.
        """
        origin, seq = envelope.origin, envelope.seq
        known = self._starts.get((origin.run, origin.producer))
        if known is not None and known.seq <= seq:
            return known
        found = self._find(connection, origin, seq, own=True)
        found = found or self._find(connection, origin, seq, own=False)
        if found is None:
            run_ts = _local_time(envelope.time)
            found = Start(self._add_run(connection, origin, run_ts), 0, run_ts)
        if known is None:
            self._remember(origin, found)
        return found

    def add_tags(self, connection: Connection, row_id: int, wanted: Iterable[str]) -> None:
        """Add those of a run's tags that are not there yet.

        Args:
            connection: an open transaction.
            row_id: row of `runs`.
            wanted: all tags of the run.
        """
        query = select(runs.c.experiment_id).where(runs.c.row_id == row_id)
        experiment = connection.execute(query).scalar_one()
        query_tags = select(tags_table.c.text).where(tags_table.c.experiment_id == experiment)
        there = Counter(connection.execute(query_tags).scalars())
        rows = []
        for text in map(self._fit.text, wanted):
            there[text] -= 1
            if there[text] < 0:
                rows.append({"experiment_id": experiment, "text": text})
        if rows:
            connection.execute(sqlalchemy.insert(tags_table), rows)

    def register(
        self, connection: Connection, envelope: Envelope, event: events.ActorRegistrationEvent
    ) -> int:
        """Add a source; one that is told again is found.

        Args:
            connection: an open transaction.
            envelope: where the event came from.
            event: the registration.
        """
        start = self.find(connection, envelope)
        pair = (event.model_name, event.actor_name)
        if envelope.again:
            there = self._find_source(connection, envelope, start, pair, event.actor_ts)
            if there is not None:
                return there
        times = (event.model_ts, event.actor_ts)
        row_id = self._add_source(connection, envelope.origin, start, pair, times)
        start.sources[pair] = row_id
        return row_id

    def source(self, connection: Connection, envelope: Envelope, pair: Pair) -> int:
        """Return the row of a source; it is made where the source was never registered.

        Args:
            connection: an open transaction.
            envelope: an event of the source.
            pair: names of model and source.
        """
        start = self.find(connection, envelope)
        if pair in start.sources:
            return start.sources[pair]
        row_id = self._find_source(connection, envelope, start, pair)
        if row_id is None:
            # a forked process goes on with what its parent has registered
            row_id = self._find_source(connection, envelope, start, pair, own=False)
        if row_id is None:
            model_ts = self._models.get((envelope.origin.run, pair[0]), start.run_ts)
            times = (model_ts, start.run_ts)
            row_id = self._add_source(connection, envelope.origin, start, pair, times)
        start.sources[pair] = row_id
        return row_id

    def _remember(self, origin: Origin, start: Start) -> None:
        if len(self._starts) >= _REMEMBERED:
            self._starts.clear()
        self._starts[origin.run, origin.producer] = start

    def _forget_guests(self, run: str) -> None:
        """Let who has no start of its own belong to the latest one."""
        self._starts = {key: at for key, at in self._starts.items() if key[0] != run or at.seq}

    def _find(self, connection: Connection, origin: Origin, seq: int, *, own: bool) -> Start | None:
        """Look for the last start before an event: the producer's own, or anybody's."""
        query = (
            select(runs.c.row_id, bus_runs.c.seq, runs.c.run_ts)
            .join(bus_runs, bus_runs.c.run_table_id == runs.c.row_id)
            .where(bus_runs.c.run == origin.run)
            .order_by(runs.c.row_id.desc())
            .limit(1)
        )
        if own:
            query = query.where(bus_runs.c.producer == origin.producer, bus_runs.c.seq <= seq)
        row = connection.execute(query).first()
        # the numbers of another producer say nothing here
        return None if row is None else Start(row[0], row[1] if own else 0, row[2])

    def _adopt(
        self, connection: Connection, envelope: Envelope, event: events.StartExperimentEvent
    ) -> int | None:
        """Take over the row that was made for events which came before their run's start."""
        query = select(bus_runs.c.run_table_id).where(
            bus_runs.c.run == envelope.origin.run, bus_runs.c.producer == ""
        )
        row_id: int | None = connection.execute(query).scalars().first()
        if row_id is not None:
            mine = {"producer": envelope.origin.producer, "seq": envelope.seq}
            claim = sqlalchemy.update(bus_runs).where(bus_runs.c.run_table_id == row_id)
            connection.execute(claim.values(mine))
            update = sqlalchemy.update(runs).where(runs.c.row_id == row_id)
            connection.execute(update.values(run_ts=event.run_ts))
        return row_id

    def _add_run(
        self,
        connection: Connection,
        origin: Origin,
        run_ts: datetime.datetime,
        producer: str = "",
        seq: int = 0,
    ) -> int:
        name, run_id = self._fit.text(origin.experiment), self._fit.text(origin.run_id)
        experiment = _insert(connection, experiments, experiment_name=name)
        row_id = _insert(connection, runs, run_id=run_id, run_ts=run_ts, experiment_id=experiment)
        claim = {"run_table_id": row_id, "run": origin.run, "producer": producer, "seq": seq}
        connection.execute(sqlalchemy.insert(bus_runs), claim)
        return row_id

    def _find_source(
        self,
        connection: Connection,
        envelope: Envelope,
        start: Start,
        pair: Pair,
        source_ts: datetime.datetime | None = None,
        *,
        own: bool = True,
    ) -> int | None:
        query = select(sources.c.row_id).join(
            bus_sources, bus_sources.c.source_id == sources.c.row_id
        )
        query = query.where(
            sources.c.run_table_id == start.row_id,
            sources.c.model_name == self._fit.text(pair[0]),
            sources.c.source_name == self._fit.text(pair[1]),
        )
        if own:
            query = query.where(bus_sources.c.producer == envelope.origin.producer)
        if source_ts is not None:
            query = query.where(sources.c.source_ts == source_ts)
        # of another producer the first, which stays the first whatever is registered later
        query = query.order_by(sources.c.row_id.desc() if own else sources.c.row_id)
        return connection.execute(query.limit(1)).scalars().first()

    def _add_source(
        self,
        connection: Connection,
        origin: Origin,
        start: Start,
        pair: Pair,
        times: tuple[datetime.datetime, datetime.datetime],
    ) -> int:
        row_id = _insert(
            connection,
            sources,
            model_name=self._fit.text(pair[0]),
            model_ts=times[0],
            source_name=self._fit.text(pair[1]),
            source_ts=times[1],
            run_table_id=start.row_id,
        )
        claim = {
            "source_id": row_id,
            "producer": origin.producer,
            "logs_before": last_log(connection),
        }
        connection.execute(sqlalchemy.insert(bus_sources), claim)
        return row_id


def last_log(connection: Connection) -> int:
    """Return the last row of `logs`, 0 where there is none.

    Args:
        connection: an open connection.
    """
    return connection.execute(select(sqlalchemy.func.max(logs.c.row_id))).scalar() or 0


def _insert(connection: Connection, table: sqlalchemy.Table, **values: Any) -> int:
    """Add a row and return its id."""
    done = connection.execute(sqlalchemy.insert(table).values(values))
    key: Any = done.inserted_primary_key
    return int(key[0])


def _local_time(nanoseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(nanoseconds / 1e9)  # noqa: DTZ006 - local, as everywhere
