"""One database: made ready at first use, and asked again with what it lacked."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, exc

from drytorch_trackers import sql_address, sql_tables
from drytorch_trackers.errors import BackendAwayError, TrackerError, TrackersError
from drytorch_trackers.sql_values import Fit
from drytorch_trackers.sql_writer import Writer

_AWAY: Final = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)
#: Attempts at making tables that another worker makes at the same time.
_ATTEMPTS: Final = 3

T = TypeVar("T")


class Store:
    """A database and what is known of it.

    Attributes:
        engine: leads to it.
        models: when models were made, by run and name.
    """

    def __init__(self, url: sqlalchemy.URL, engine: Engine | None = None) -> None:
        """Initialize; nothing is opened.

        Args:
            url: where the database is.
            engine: an engine of the user's own, which is never disposed of here.
        """
        self.engine = engine or sql_address.make_engine(url)
        self.models: dict[tuple[str, str], datetime.datetime] = {}
        self._url = url
        self._owned = engine is None
        self._writer: Writer | None = None

    @property
    def name(self) -> str:
        """The database's URL as it may be shown."""
        return sql_address.shown(self._url)

    def make_folder(self) -> None:
        """Make the folder of a SQLite file.

        Raises:
            TrackerError: it cannot be made.
        """
        if sql_address.is_file(self._url):
            try:
                Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TrackerError(
                    f"The folder of database {self.name} cannot be made ({error}): "
                    f"name another file."
                ) from error

    def write(self, action: Callable[[Writer], T]) -> T:
        """Let the writer do something; the tables are made at first use.

        Args:
            action: what it is to do.

        Raises:
            BackendAwayError: the database does not answer, or another program writes to it.
            TrackerError: the database refuses it.
        """
        try:
            if self._writer is None:
                self._writer = Writer(self.engine, self._make_ready(), self.models)
            return action(self._writer)
        except exc.SQLAlchemyError as error:
            self.close()
            raise self._told(error) from None

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[Connection, Fit] | None]:
        """Open the database for reading; None where there is none, or none of its tables, yet.

        Raises:
            BackendAwayError: the database does not answer.
            TrackerError: the database refuses it.
        """
        if sql_address.is_file(self._url) and not Path(str(self._url.database)).exists():
            yield None
            return
        try:
            with self.engine.connect() as connection:
                there = sqlalchemy.inspect(connection).has_table("bus_sources")
                yield (connection, Fit(connection.dialect.name)) if there else None
        except exc.SQLAlchemyError as error:
            raise self._told(error) from None
        finally:
            if self._owned:
                self.engine.dispose()

    def close(self) -> None:
        """Close all connections; the next use opens new ones and looks at the tables again."""
        self._writer = None
        if self._owned:
            self.engine.dispose()

    def _make_ready(self) -> Fit:
        try:
            self.make_folder()
        except TrackerError as error:
            # it was there at the start: somebody changes the disk
            raise BackendAwayError(str(error)) from error
        for attempt in range(_ATTEMPTS):
            try:
                sql_tables.metadata.create_all(self.engine)
                break
            except (exc.IntegrityError, exc.ProgrammingError, exc.OperationalError):
                # another worker may make the same tables at this moment
                if attempt == _ATTEMPTS - 1:
                    raise
        inspector = sqlalchemy.inspect(self.engine)
        nullable = True
        for table in sql_tables.UPSTREAM:
            there = {each["name"]: each for each in inspector.get_columns(table.name)}
            if missing := [column.name for column in table.columns if column.name not in there]:
                raise TrackerError(
                    f"Table {table.name} of {self.name} has no column {missing[0]}: it is none of "
                    f"DRYTorch's, use another database."
                )
            if table is sql_tables.logs:
                nullable = bool(there["value"]["nullable"])
        return Fit(self.engine.dialect.name, nullable)

    def _told(self, error: exc.SQLAlchemyError) -> TrackersError:
        """Return what is to be said of an error: no statement, and no password."""
        cause = getattr(error, "orig", None) or error
        text = " ".join(sql_address.without_password(str(cause), self._url).split())
        lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
        if lost or isinstance(error, _AWAY):
            return BackendAwayError(f"Database {self.name} cannot be used at the moment: {text}")
        return TrackerError(f"Database {self.name} refuses what is written: {text}")
