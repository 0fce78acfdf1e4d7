"""Worker processes for tests: started as a training starts them, by a description on stdin."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from drytorch_client.declarations import Declaration
from drytorch_client.workers.owed import owed_file, put
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas.control import Filter
from drytorch_trackers import hosting
from drytorch_trackers.hosted import Policy
from hosts import Host
from journal_making import write_journal

TRACKERS = Path(__file__).parent / "worker_trackers.py"
CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")


def spec_of(host: Host, url: str, *targets: str, **changes: Any) -> WorkerSpec:
    """Return the description of a worker; a plain name is a class of `worker_trackers.py`."""
    declarations = [
        Declaration(name=target, target=target if target == "csv" else f"{TRACKERS}:{target}")
        for target in targets
    ]
    fields: dict[str, Any] = {
        "name": "worker",
        "broker": url,
        "declarations": declarations,
        "filter": Filter(),
        "par_dir": str(host.folder / "out"),
        "log_file": str(host.folder / "worker.log"),
        "owed": str(owed_file("worker")),
    }
    return WorkerSpec(**fields | changes)


class Workers:
    """Starts workers, and ends those that are left."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, spec: WorkerSpec, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker that is put on the owed list where it is not, its output in pipes."""
        if spec.owed and not Path(spec.owed).exists():
            put(spec)
        command = [sys.executable, "-P", "-m", "drytorch_trackers.worker"]
        process = subprocess.Popen(
            [*command, "--name", spec.name, "--par-dir", spec.par_dir],
            cwd=self.host.folder,
            env=self.host.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._started.append(process)
        assert process.stdin is not None
        process.stdin.write(spec.to_bytes())
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, spec: WorkerSpec, seconds: float = 60) -> tuple[int, str]:
        """Run a worker to its end, and return its exit code and what it wrote to stderr."""
        process = self.start(spec)
        _, err = process.communicate(timeout=seconds)
        return process.returncode, err.decode()

    def close(self) -> None:
        """End what is left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def rows(path: Path) -> int:
    """Return the number of lines in a file, 0 where it is not there."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def expected_csv(host: Host, payloads: list[bytes], folder: Path) -> bytes:
    """Return the CSV that an undisturbed replay of the same events writes."""
    paths = write_journal(folder / "reference", payloads)
    replayed = host.drytorch("replay", *paths, "--to", "csv", "--par-dir", folder / "expected")
    assert replayed.returncode == 0, replayed.stderr
    return (folder / "expected" / CSV).read_bytes()


def run_here(spec: WorkerSpec, said: list[str]) -> tuple[int, bool]:
    """Run a worker in this process, where failing trackers are not waited for."""
    policy = Policy(delays=(0.0,), delays_in_a_row=(0.0,))
    host = hosting.Host(
        leaving=threading.Event(),
        notices=hosting.Notices(note=lambda _text: None, warn=said.append),
        policy=policy,
    )
    trackers, _ = hosting.build(spec.declarations, said.append)
    return hosting.run(spec, host, trackers)
