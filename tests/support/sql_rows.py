"""What stands in a database, without what is different each time."""

from typing import Any

import sqlalchemy

from drytorch_trackers import sql_tables

#: Surrogate keys stay: they are compared where the order of writing must be the same.
WITHOUT = frozenset({"created_at"})


def dump(url: "str | sqlalchemy.URL", *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables, or of some, in the order of their keys."""
    engine = sqlalchemy.create_engine(url)
    found: dict[str, list[tuple[Any, ...]]] = {}
    try:
        with engine.connect() as connection:
            there = sqlalchemy.inspect(connection).get_table_names()
            for table in sql_tables.metadata.sorted_tables:
                if table.name in there and (not tables or table.name in tables):
                    columns = [each for each in table.columns if each.name not in WITHOUT]
                    query = sqlalchemy.select(*columns).order_by(*table.primary_key.columns)
                    found[table.name] = [
                        tuple(map(_shown, row)) for row in connection.execute(query)
                    ]
    finally:
        engine.dispose()
    return found


def metrics(url: "str | sqlalchemy.URL") -> list[tuple[Any, ...]]:
    """Return source, epoch, metric and value in the order of writing."""
    rows = dump(url)
    names = {row[0]: row[3] for row in rows["sources"]}
    return [(names[row[1]], *row[2:]) for row in rows["logs"]]


def _shown(value: Any) -> Any:
    """Make NaN equal to itself."""
    return "nan" if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN
