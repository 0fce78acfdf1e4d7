"""A training and commands that write to a real PostgreSQL, stopped and started meanwhile."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from drytorch_trackers import SQLConnection
from hosts import SCRIPTS, Host, eventually
from postgres_server import PASSWORD, PostgresServer
from sql_rows import dump, metrics


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Return a running PostgreSQL."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_a_server_that_is_stopped_under_a_training(
    host: Host, tmp_path: Path, server: PostgresServer
) -> None:
    """All rows arrive, nobody sees the password, and a second worker adds nothing."""
    url, pause = tmp_path / "url", tmp_path / "pause"
    url.write_text(str(SQLConnection(server.url).declared()[1]["url"]))
    training = host.start(sys.executable, SCRIPTS / "sql_training.py", url, pause)
    eventually(lambda: pause.exists() or training.poll() is not None, 60, "the third epoch")
    shown = [_shown(process) for process in [psutil.Process(training.pid), *host.workers()]]
    server.stop()
    pause.unlink()
    done = host.finish(training)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[1, 2, 3]\n"
    waits = "SQLConnection waits: Database postgresql+psycopg://lab:***@/postgres"
    assert done.stderr.count(waits) == 1
    server.start()
    eventually(lambda: not host.workers(), 60, "the worker has written all and leaves")
    assert [row[:3] for row in metrics(server.url)] == [
        ("Trainer", epoch, name) for epoch in range(1, 7) for name in ("loss", "nan")
    ]
    rows = dump(server.url)
    assert [row[3] for row in rows["step_logs"]] == list(range(6))
    bare = f"url=postgresql://lab@/postgres?host={server.folder}"
    tracked = host.drytorch("track", "sql", "-o", bare, PGPASSWORD=PASSWORD)
    assert tracked.returncode == 0, tracked.stderr
    verified = host.drytorch("verify", "Exp/r", "--against", "sql", "-o", bare, PGPASSWORD=PASSWORD)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert dump(server.url) == rows
    shown += [done.stderr, tracked.stderr, verified.stdout, *_files(tmp_path, url), *_state(host)]
    assert not [text for text in shown if PASSWORD in text or quote(PASSWORD, safe=" ") in text]


def _shown(process: psutil.Process) -> str:
    return " ".join([*process.cmdline(), *process.environ().values()])


def _state(host: Host) -> Iterator[str]:
    yield from _files(Path(host.environment["XDG_STATE_HOME"]))


def _files(folder: Path, but: Path | None = None) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path != but:
            yield path.read_bytes().decode(errors="replace")
