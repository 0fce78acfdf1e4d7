"""Where the SQL tracker's database is, and what is said of it."""

import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from deliveries import RUN_ID, deliver, feed, metric, origin, start
from drytorch_client.declarations import Declaration, declare
from drytorch_client.errors import TrackerArgumentError
from drytorch_trackers import SQLConnection, TrackerContext, TrackerError, registry, sql_address
from drytorch_trackers.errors import BackendAwayError, MissingExtraError, OptionError
from drytorch_trackers.options import parse
from sql_rows import dump

PASSWORD = "p@ss/w:rd %"  # noqa: S105 - what must not be seen
SERVER = sqlalchemy.URL.create(
    "postgresql+psycopg", username="lab", password=PASSWORD, host="127.0.0.1", port=1, database="d"
)


def declared(tracker: SQLConnection) -> str:
    """Return the URL that a worker is given."""
    args, kwargs = tracker.declared()
    assert args == ()
    assert list(kwargs) == ["url"]
    return str(kwargs["url"])


def rebuilt(tracker: SQLConnection) -> Any:
    """Return what a worker builds from the declaration, as it travels."""
    text = declare(tracker).model_dump_json()
    return Declaration.model_validate_json(text).build(registry.load)


@pytest.mark.parametrize("form", ["text", "url", "keyword", "engine"])
def test_a_relative_path_is_of_the_folder_where_the_object_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """In whatever form it is given, the file does not depend on where the worker runs."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = "sqlite:///sub/m.db"
    tracker = {
        "text": lambda: SQLConnection(text),
        "url": lambda: SQLConnection(sqlalchemy.make_url(text)),
        "keyword": lambda: SQLConnection(url=text),
        "engine": lambda: SQLConnection(sqlalchemy.create_engine(text)),
    }[form]()
    monkeypatch.chdir(tmp_path)
    feed(rebuilt(tracker), deliver([start(), metric(1, x=1)]), tmp_path / "elsewhere")
    assert len(dump(f"sqlite:///{tmp_path}/here/sub/m.db")["logs"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_default_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made in a training it is the current folder; made from its name, the worker's."""
    monkeypatch.chdir(tmp_path)
    made = SQLConnection()
    monkeypatch.chdir("/")
    assert declared(made) == f"sqlite:///{tmp_path}/metrics.db"
    named: Any = declare("sql").build(registry.load)
    folder = tmp_path / "par"
    feed(named, deliver([start(), metric(1, x=1)]), folder)
    assert len(dump(f"sqlite:///{folder}/metrics.db")["logs"]) == 1
    fresh = SQLConnection()
    with pytest.raises(TrackerError, match="no database yet"):
        _ = fresh.engine


def test_options_of_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-o url=...` and `-o engine=...` both name the database."""
    monkeypatch.chdir(tmp_path)
    for name in ("url", "engine"):
        options = parse(SQLConnection, [(name, "sqlite:///a.db")])
        assert declared(SQLConnection(**options)) == f"sqlite:///{tmp_path}/a.db"


def test_a_constructor_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an object nor its set-up makes a file or asks a server; loading makes none either."""
    monkeypatch.chdir(tmp_path)
    tracker = SQLConnection("sqlite:///a.db")
    tracker.setup(TrackerContext(tmp_path))
    SQLConnection(SERVER).setup(TrackerContext(tmp_path))
    tracker.make_current(experiment="Exp", run_id=RUN_ID, run=origin().run, par_dir=tmp_path)
    tracker.reset_current()
    with pytest.raises(TrackerError, match="no metrics yet"):
        tracker.load_metrics("net")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_is_used_where_it_was_made(tmp_path: Path) -> None:
    """In its own process a given engine is used as it is, and stays open; rows are read by it."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    tracker = SQLConnection(engine)
    feed(tracker, deliver([start(), metric(1, x=1)]), tmp_path)
    assert tracker.engine is engine
    assert tracker.load_metrics("net") == {"Trainer": ([1], {"x": [1.0]})}
    with pytest.raises(TrackerArgumentError, match="name a file"):
        declare(tracker)
    engine.dispose()


def test_a_password_reaches_the_worker_and_nobody_else(tmp_path: Path) -> None:
    """The declaration has the password whatever is in it; errors and names have not."""
    tracker = rebuilt(SQLConnection(SERVER))
    tracker.setup(TrackerContext(tmp_path))
    assert tracker.engine.url.password == PASSWORD
    with pytest.raises(BackendAwayError) as caught:
        tracker.handle(deliver([metric(1, x=1)])[0])
    text = str(caught.value)
    assert text.startswith("Database postgresql+psycopg://lab:***@127.0.0.1:1/d cannot be used")
    assert "refused" in text
    assert PASSWORD not in text
    assert PASSWORD not in repr(tracker.engine)
    tracker._waiting.clear()
    tracker.clean_up()


def test_passwords_in_the_query_are_hidden() -> None:
    """A password that is an option of the driver is hidden, too, in the URL and in messages."""
    url = sql_address.parse("postgresql://lab@h/d?password=fish&sslpassword=bone")
    assert sql_address.shown(url).count("***") == 2
    assert sql_address.without_password("no fish or bone", url) == "no *** or ***"
    assert url.drivername == "postgresql+psycopg"


def test_a_socket_folder_survives_as_text() -> None:
    """The folder of a server's socket, given as the host, is not read as the database's name."""
    url = sqlalchemy.URL.create("postgresql+psycopg", "lab", host="/run/pg", database="d")
    again = sqlalchemy.make_url(declared(SQLConnection(url)))
    assert (again.query["host"], again.database) == ("/run/pg", "d")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("metrics.db", "cannot be read: write one such as sqlite:///metrics.db"),
        (f"oops {PASSWORD}", "cannot be read"),
        ("nosuch://host/d", "knows no database 'nosuch'"),
        ("sqlite+aiosqlite:///a.db", "asynchronous"),
        ("postgresql+asyncpg://h/d", "asynchronous"),
    ],
)
def test_wrong_urls_are_refused(given: str, message: str) -> None:
    """What cannot be used is refused in the user's own line, without repeating a password."""
    with pytest.raises(OptionError, match=message) as caught:
        SQLConnection(given)
    assert PASSWORD not in str(caught.value)


def test_both_names_at_once_are_refused() -> None:
    """Engine and URL together are a mistake."""
    with pytest.raises(OptionError, match="both engine and url"):
        SQLConnection("sqlite://", url="sqlite://")


@pytest.mark.parametrize(
    ("module", "url", "package"),
    [
        ("psycopg", "postgresql://host/d", r"drytorch-bus\[postgres\]"),
        ("psycopg2", "postgresql+psycopg2://host/d", "psycopg2-binary"),
        ("MySQLdb", "mysql://host/d", "mysqlclient"),
        ("oracledb", "oracle+oracledb://host/d", "oracledb"),
    ],
)
def test_a_missing_driver_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str, package: str
) -> None:
    """Where a driver is not installed, the error names what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install '{package}'"):
        SQLConnection(url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file where no file can be is an error before the first event, and in the middle a pause."""
    (tmp_path / "file").write_text("")
    tracker = SQLConnection(f"sqlite:///{tmp_path}/file/m.db")
    with pytest.raises(TrackerError, match=r"file/m\.db cannot be made"):
        tracker.setup(TrackerContext(tmp_path))
    with pytest.raises(BackendAwayError, match=r"file/m\.db cannot be made"):
        tracker.handle(deliver([metric(1, x=1)])[0])
    (tmp_path / "file").unlink()
    tracker.handle(deliver([metric(1, x=1)])[0])
    tracker.clean_up()
    assert len(dump(f"sqlite:///{tmp_path}/file/m.db")["logs"]) == 1
