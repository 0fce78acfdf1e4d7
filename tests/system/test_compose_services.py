"""The services of docker-compose.yml work together, as plain processes on this host."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from containers import compose, free_port, replaced
from hosts import BIN, Host, eventually
from pages import ROOT
from postgres_server import PASSWORD, PostgresServer

pytestmark = pytest.mark.system(deadline=30)

SCRIPTS = "/usr/local/lib/drytorch"
SCRIPT = ROOT / "docker" / "with-password.sh"
SECRET = "/run/secrets/database_password"  # noqa: S105  # a place, no password


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """Return a running PostgreSQL server."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


def test_services_work_together(
    host: Host, database: PostgresServer, isolated_environment: Path
) -> None:
    """A training reports over TCP, and its metrics arrive in a CSV file and in PostgreSQL."""
    services = compose()["services"]
    broker = f"tcp://127.0.0.1:{free_port()}"
    (host.folder / "secret").write_text(PASSWORD)
    places = {
        "tcp://0.0.0.0:7750": broker,
        "tcp://127.0.0.1:7750": broker,
        "tcp://broker:7750": broker,
        "drytorch@database/drytorch": f"lab@/postgres?host={database.folder}",
        SECRET: str(host.folder / "secret"),
        SCRIPTS: str(ROOT / "docker"),
        "/examples": str(ROOT / "examples"),
        "/tmp": str(host.folder / "tmp"),  # noqa: S108  # a container's own
        **{f"/{each}": str(host.folder / each) for each in ("journal", "results", "state")},
    }
    host.environment["PATH"] = f"{BIN}:{host.environment['PATH']}"

    def words(name: str, command: list[str]) -> list[str]:
        assert "".join(command), name
        return [replaced(word, places) for word in command]

    def start(name: str) -> "subprocess.Popen[str]":
        environment = {
            key: replaced(str(value), places)
            for key, value in services[name].get("environment", {}).items()
        }
        # each container has a state of its own
        environment["XDG_STATE_HOME"] = str(isolated_environment / name)
        return host.start(*words(name, services[name]["command"]), **environment)

    start("broker")
    _, *health = services["broker"]["healthcheck"]["test"]
    eventually(lambda: host.run(*words("broker", health)).returncode == 0, 30, "it is healthy")
    workers = [start("csv"), start("sql")]
    trained = host.finish(start("training"), 90)
    assert trained.returncode == 0, trained.stderr

    def written() -> bool:
        assert [each.poll() for each in workers] == [None, None]
        return rows_of_csv(host.folder / "results") == rows_of_sql(database) != []

    eventually(written, 30, "both hold all epochs of all sources")
    assert {row[0] for row in rows_of_csv(host.folder / "results")} == {
        "Trainer",
        "Validator",
        "Tester",
    }
    for worker in workers:
        worker.terminate()
        assert host.finish(worker).returncode == 0
    assert host.broker("stop", "--broker", broker).returncode == 0


def rows_of_csv(folder: Path) -> list[tuple[str, int, str, float]]:
    """Return source, epoch, metric and value of all files."""
    rows: list[dict[str, str]] = []
    for path in folder.rglob("*.csv"):
        with path.open(newline="") as file:
            rows += csv.DictReader(file)
    return sorted(
        (row["Source"], int(row["Epoch"]), name, float(row[name]))
        for row in rows
        for name in row.keys() - {"Model", "Source", "Epoch"}
    )


def rows_of_sql(database: PostgresServer) -> list[tuple[str, int, str, float]]:
    """Return the same of the database."""
    query = (
        "SELECT source_name, epoch, metric_name, value FROM logs"
        " JOIN sources ON sources.row_id = logs.source_id"
    )
    with database._connect() as connection:
        try:
            return sorted(connection.execute(query).fetchall())
        except psycopg.errors.UndefinedTable:
            return []


def test_a_password_stays_out_of_the_command_line(tmp_path: Path) -> None:
    """The wrapper gives the file's content to its command by the environment alone."""
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    script = "import os, sys; print(os.environ['PGPASSWORD'], sys.argv[1:], os.getpid())"
    secret = str(tmp_path / "secret")
    wrapped = subprocess.Popen(
        ["sh", SCRIPT, secret, sys.executable, "-c", script, "one two"],
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = wrapped.communicate(timeout=20)
    # the same process: signals of an engine reach the command itself
    assert out == f"{PASSWORD} ['one two'] {wrapped.pid}\n"
