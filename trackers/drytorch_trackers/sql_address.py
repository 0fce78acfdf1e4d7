"""Where a database is: from what a user gives to an engine, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import exc, pool

from drytorch_trackers.errors import MissingExtraError, OptionError

#: Seconds that SQLite waits while another program writes.
SQLITE_BUSY_SECONDS: Final = 5
#: Seconds until a server that does not answer counts as away.
CONNECT_SECONDS: Final = 10
#: Milliseconds until a connection whose packets nobody acknowledges is given up.
_TCP_USER_TIMEOUT: Final = 30_000
_MEMORY: Final = (None, "", ":memory:")
_HIDDEN: Final = "***"
_SECRETS: Final = ("password", "passwd", "pwd", "sslpassword")
_PSYCOPG: Final = "postgresql+psycopg"
#: What to install for a driver's module where that is not its name.
_PACKAGES: Final = {
    "psycopg": "drytorch-bus[postgres]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}


def parse(given: sqlalchemy.Engine | sqlalchemy.URL | str) -> sqlalchemy.URL:
    """Return the URL of a database, after looking whether its driver is there.

    Args:
        given: an engine, a URL or its text; `postgres://` and `postgresql://` mean psycopg.

    Raises:
        OptionError: it is no URL, or one of a database or driver that cannot be used.
        MissingExtraError: the driver is not installed.
    """
    if isinstance(given, sqlalchemy.Engine):
        return _as_text_can_hold(given.url)
    try:
        url = sqlalchemy.make_url(given)
    except exc.ArgumentError:
        # the text is not repeated: it may hold a password
        raise OptionError(
            "The database's URL cannot be read: write one such as sqlite:///metrics.db."
        ) from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername=_PSYCOPG)
    _check_driver(url)
    return _as_text_can_hold(url)


def resolve(url: sqlalchemy.URL, folder: Path) -> sqlalchemy.URL:
    """Return a URL whose SQLite file has an absolute path; any other as it is.

    Args:
        url: the URL.
        folder: what a relative path is relative to.
    """
    if not is_file(url):
        return url
    return url.set(database=str((folder / str(url.database)).absolute()))


def is_file(url: sqlalchemy.URL) -> bool:
    """Tell whether a URL leads to a file of SQLite, named by its path.

    Args:
        url: the URL.
    """
    name = url.database
    return _is_sqlite(url) and name not in _MEMORY and not str(name).startswith("file:")


def is_memory(url: sqlalchemy.URL) -> bool:
    """Tell whether a URL leads to a database that ends with its process.

    Args:
        url: the URL.
    """
    return _is_sqlite(url) and url.database in _MEMORY


def make_engine(url: sqlalchemy.URL) -> sqlalchemy.Engine:
    """Return an engine; it opens nothing before it is used.

    Args:
        url: the URL.
    """
    if _is_sqlite(url):
        # no pool: a file that was removed or replaced meanwhile is noticed at the next write
        return sqlalchemy.create_engine(
            url,
            hide_parameters=True,
            poolclass=pool.NullPool,
            connect_args=_unless_given(url, {"timeout": SQLITE_BUSY_SECONDS}),
        )
    options: dict[str, Any] = {}
    if url.drivername == _PSYCOPG:
        limits = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": _TCP_USER_TIMEOUT}
        options = _unless_given(url, limits)
    return sqlalchemy.create_engine(
        url, hide_parameters=True, pool_size=1, pool_pre_ping=True, connect_args=options
    )


def shown(url: sqlalchemy.URL) -> str:
    """Return a URL as it may be shown: without passwords.

    Args:
        url: the URL.
    """
    hidden = {key: _HIDDEN for key in url.query if key.lower() in _SECRETS}
    text = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return text.replace(quote(_HIDDEN, safe=""), _HIDDEN)


def without_password(text: str, url: sqlalchemy.URL) -> str:
    """Return a text without the passwords of a URL.

    Args:
        text: what a driver said.
        url: the URL.
    """
    secrets = [url.password, *(url.query[key] for key in url.query if key.lower() in _SECRETS)]
    for secret in secrets:
        for each in [secret] if isinstance(secret, str) else secret or ():
            text = text.replace(each, _HIDDEN) if each else text
    return text


def _as_text_can_hold(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """Move a socket's folder to where it survives that the URL becomes text."""
    if url.host and "/" in url.host:
        return url.set(host="").update_query_dict({"host": url.host})
    return url


def _is_sqlite(url: sqlalchemy.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _unless_given(url: sqlalchemy.URL, options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in url.query}


def _check_driver(url: sqlalchemy.URL) -> None:
    name = url.drivername
    try:
        dialect = url.get_dialect()
        asynchronous = getattr(dialect, "is_async", False)
        if not asynchronous:
            dialect.import_dbapi()
    except exc.NoSuchModuleError:
        raise OptionError(
            f"SQLAlchemy knows no database {name!r}: use sqlite or postgresql."
        ) from None
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise MissingExtraError(
            f"A database at {name}:// needs {error.name}, which is not installed: "
            f"run pip install '{package}'."
        ) from error
    if asynchronous:
        raise OptionError(f"Driver {name} is asynchronous: use another one, such as {_PSYCOPG}.")
