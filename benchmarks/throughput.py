"""Durable events per second: two producing processes, one broker that forces commits to disk."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROUNDS = 5
PRODUCERS = 2
EVENTS = 100_000  # of each producer


@contextlib.contextmanager
def broker(folder: pathlib.Path) -> Iterator[str]:
    """Run a broker on a new journal, and give its URL."""
    journal = folder / "journal"
    command = [sys.executable, "-P", "-m", "drytorch_broker", "start", "--fsync", "batch"]
    process = subprocess.Popen(
        [*command, "--journal", journal, "--listen", f"ipc://{folder}/sockets"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield json.loads((journal / "endpoint.json").read_text())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def one_round() -> float:
    """Return events per second from the first emit to the last acknowledgement."""
    with tempfile.TemporaryDirectory(prefix="dt-") as name, broker(pathlib.Path(name)) as url:
        command = [sys.executable, "-m", "benchmarks.producer", url, str(EVENTS)]
        producers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PRODUCERS)
        ]
        for each in producers:
            assert each.stdout is not None
            each.stdout.readline()
        time.sleep(0.2)
        for each in producers:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        spans = [tuple(map(float, each.communicate()[0].split())) for each in producers]
        begun, ended = min(span[0] for span in spans), max(span[1] for span in spans)
        return PRODUCERS * EVENTS / (ended - begun)


def measure() -> list[float]:
    """Return the rates of all rounds."""
    return [one_round() for _ in range(ROUNDS)]


def show(rates: list[float]) -> None:
    """Print the best rate."""
    print(f"\ndurable events/s, {PRODUCERS} producers, --fsync batch; best of {len(rates)} rounds")
    print(f"{max(rates):,.0f} (all: {', '.join(f'{rate:,.0f}' for rate in sorted(rates))})")
