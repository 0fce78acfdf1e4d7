"""Real trainings, brokers and workers in a folder of their own, and ways to break them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

SCRIPTS = Path(__file__).parents[1] / "system" / "scripts"
MARK = "DRYTORCH_TEST_MARK"
BIN = Path(sys.executable).parent


class Host:
    """One user on one host: folders, the commands, and the processes that are under way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # one thread each: on few cores, processes that spin for one another take seconds
        self.environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command in this host's folder, its output in pipes."""
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def adopt(self, process: subprocess.Popen[str]) -> None:
        """Take over a process that somebody else started, to end it with the others."""
        self._started.append(process)

    def run(
        self, *command: str | Path, seconds: float = 60, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.finish(self.start(*command, **environment), seconds)

    def finish(
        self, process: subprocess.Popen[str], seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Wait for a command and return what it printed."""
        out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def drytorch(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command `drytorch`."""
        return self.run(BIN / "drytorch", *arguments, **options)

    def broker(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command `drytorch-broker`."""
        return self.run(BIN / "drytorch-broker", *arguments, **options)

    def train(
        self, par_dir: Path, epochs: int, run_id: str = "r", name: str = "Exp", **environment: str
    ) -> subprocess.Popen[str]:
        """Start the training script of the contract."""
        script = SCRIPTS / "train.py"
        return self.start(sys.executable, script, name, par_dir, str(epochs), run_id, **environment)

    def processes(self, module: str) -> list[psutil.Process]:
        """Return the living processes of this test that run a module."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == self.environment[MARK]
                if ours and module in process.cmdline() and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def brokers(self) -> list[psutil.Process]:
        """Return the living brokers of this test."""
        return self.processes("drytorch_broker")

    def workers(self) -> list[psutil.Process]:
        """Return the living workers of this test."""
        return self.processes("drytorch_trackers.worker")

    def stop(self) -> None:
        """Stop what the test started, frozen or not."""
        for frozen in self.brokers() + self.workers():
            frozen.send_signal(signal.SIGCONT)
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.broker("stop")
        for left in self.brokers() + self.workers():
            left.kill()


def result_of(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what the training script measured of itself."""
    lines = [line for line in finished.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, finished.stderr
    result: dict[str, Any] = json.loads(lines[0].removeprefix("RESULT "))
    return result


def eventually(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true answer of `look`; fail the test when none comes in time."""
    end = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return answer
