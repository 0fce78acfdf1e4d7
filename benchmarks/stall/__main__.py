"""Measure the stall budget: `python -m benchmarks.stall [TOOL ...] [--svg FILE]`, as root.

For each tool and fault the same 1,200 steps; something is broken from the 100th to the 1,000th, but
for ten seconds at most. Tools that are not installed are left out, with a line that says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.stall import picture
from benchmarks.stall.faults import FAULTS, Fault, small_disk
from benchmarks.stall.loop import STEPS, TOOLS
from benchmarks.stall.stored import STORED

#: A loop that is not over by then counts as hanging.
GIVE_UP = 90.0
#: Tools that have no process of their own whose fate could matter.
IN_PROCESS = ("drytorch", "tensorboard", "trackio")
LIBRARY = {"ours": "drytorch_client"}


@dataclass
class Outcome:
    """What one loop felt.

    Attributes:
        tool: the tool.
        fault: what was done to it.
        longest: the longest call in seconds; None where the loop never ended.
        raised: exceptions in the loop.
        missing: steps that are not stored afterwards.
        error: the first exception.
    """

    tool: str
    fault: str
    longest: float | None
    raised: int
    missing: int
    error: str = ""


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tools", nargs="*", default=list(TOOLS))
    parser.add_argument("--faults", nargs="*", default=list(FAULTS))
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    outcomes = []
    for tool in given.tools:
        if importlib.util.find_spec(LIBRARY.get(tool, tool)) is None:
            print(f"{tool} is not installed: left out.", file=sys.stderr)
            continue
        for fault in given.faults:
            if tool in IN_PROCESS and fault in {"killed", "frozen", "slow"}:
                continue
            outcomes.append(measure(tool, fault))
            print(_row(outcomes[-1]), flush=True)
    if given.svg is not None:
        given.svg.write_text(picture.draw(outcomes))
    return 0


def _row(outcome: Outcome) -> str:
    longest = "hangs" if outcome.longest is None else f"{1000 * outcome.longest:.1f} ms"
    return (
        f"| {outcome.tool} | {outcome.fault} | {longest} | {outcome.raised} | {outcome.missing} | "
        f"{outcome.error}"
    )


def measure(tool: str, fault: str) -> Outcome:
    """Run one loop, break something in it, and read what is stored."""
    with (
        tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as name,
        small_disk(Path(name, "d")) as folder,
    ):
        server = _mlflow_server(folder) if tool == "mlflow" else None
        try:
            return _measure(tool, fault, folder, server)
        finally:
            if server is not None:
                for each in [*server.children(recursive=True), server]:
                    each.kill()
            _end_broker(folder)


def _environment(folder: Path) -> dict[str, str]:
    environment = dict(os.environ, OMP_NUM_THREADS="1", WANDB_SILENT="true")
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        place = folder / variable[-4:].lower()
        place.mkdir(mode=0o700, exist_ok=True)
        environment[variable] = str(place)
    return environment


def _measure(tool: str, fault: str, folder: Path, server: psutil.Process | None) -> Outcome:
    loop = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stall.loop", tool, str(folder)],
        env=_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    helpers = _helpers(loop.pid, server)
    broken = FAULTS[fault](helpers, folder)
    told: dict[str, dict[str, Any]] = {}
    watch = threading.Timer(GIVE_UP, loop.kill)
    watch.start()
    _follow(loop, broken, told)
    loop.wait()
    watch.cancel()
    broken.end()
    _settle(tool, folder)
    figures = told.get("looped", {})
    missing = set(range(STEPS)) - STORED[tool](folder)
    return Outcome(
        tool,
        fault,
        figures.get("longest"),
        figures.get("raised", 0),
        len(missing),
        str(figures.get("error", "")),
    )


def _follow(loop: subprocess.Popen[str], broken: Fault, told: dict[str, dict[str, Any]]) -> None:
    assert loop.stdin is not None
    assert loop.stdout is not None
    for line in loop.stdout:
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        told[said["what"]] = said
        if said["what"] == "break":
            broken.begin()
        elif said["what"] == "mend":
            broken.end()
        if said["what"] in {"begun", "break", "mend"}:
            if said["what"] == "begun":
                time.sleep(1.0)  # helpers that are still starting are no fair victims
            loop.stdin.write("\n")
            loop.stdin.flush()


def _helpers(pid: int, server: psutil.Process | None) -> Callable[[], list[psutil.Process]]:
    def find() -> list[psutil.Process]:
        if server is not None:
            return [server, *server.children(recursive=True)]
        found = psutil.Process(pid).children(recursive=True)
        ours = [each for each in psutil.process_iter() if _is_broker_of(each, pid)]
        return found + ours

    return find


def _is_broker_of(process: psutil.Process, pid: int) -> bool:
    try:
        if "drytorch_broker" not in process.cmdline():
            return False
        return process.environ().get("HOME") == psutil.Process(pid).environ().get("HOME")
    except psutil.Error:
        return False


def _settle(tool: str, folder: Path) -> None:
    """Do what a user does afterwards: what is left is delivered by one command."""
    if tool == "ours":
        for _ in range(3):
            code = "from drytorch_trackers.cli import main; main(['sync', '--wait', '30'])"
            command = [sys.executable, "-c", code]
            subprocess.run(command, env=_environment(folder), capture_output=True, check=False)


def _end_broker(folder: Path) -> None:
    command = [sys.executable, "-m", "drytorch_broker", "stop"]
    subprocess.run(command, env=_environment(folder), capture_output=True, check=False)


def _mlflow_server(folder: Path) -> psutil.Process:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    (folder / "url").write_text(url)
    store = f"sqlite:///{folder / 'mlflow.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workers", "1"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(3)
                return psutil.Process(process.pid)
        time.sleep(0.2)
    raise TimeoutError("MLflow's server does not listen.")


if __name__ == "__main__":
    sys.exit(main())
