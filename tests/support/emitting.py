"""Senders of this test, small programs that emit, and what reached the journal."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from drytorch_client.identity import RunIdentity
from drytorch_schemas.envelope import Envelope, decode
from drytorch_schemas.events import MetricEvent
from drytorch_schemas.folders import journal_dir
from drytorch_schemas.journal_reader import Record, read
from drytorch_schemas.records import ENVELOPE
from hosts import Host

RUN = RunIdentity("Exp", "r", "c" * 32, 0, "host")

PRELUDE = """
import json, os, signal, sys, threading, time
from drytorch_client.config import ClientConfig
from drytorch_client.senders import get_sender
from drytorch_schemas.events import CustomEvent, MetricEvent, StopExperimentEvent
from emitting import RUN, metric
sender = get_sender(ClientConfig.from_environment(**json.loads(os.environ.get("OPTIONS", "{}"))))
def emit(number):
    sender.emit(metric(number), RUN)
def say(*values):
    print(*values, flush=True)
"""


def metric(number: int) -> MetricEvent:
    """Return an event that carries its number."""
    return MetricEvent(
        model_name="net", source_name="T", epoch=number, metrics={"loss": 0.5, "accuracy": 0.25}
    )


def start(host: Host, code: str, **options: Any) -> subprocess.Popen[str]:
    """Start a program that finds `sender`, `emit(number)` and `say(...)`."""
    program = PRELUDE + textwrap.dedent(code)
    environment = {"PYTHONPATH": str(Path(__file__).parent), "OPTIONS": json.dumps(options)}
    return host.start(sys.executable, "-c", program, **environment)


def run(host: Host, code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run such a program to its end."""
    return host.finish(start(host, code, **options))


def envelopes(folder: Path | None = None) -> list[Envelope]:
    """Return what a journal holds, by default this user's own."""
    folder = folder or journal_dir()
    if not list(folder.glob("*.msgpack")):
        return []
    items = list(read(folder))
    return [
        decode(each.payload) for each in items if isinstance(each, Record) and each.kind == ENVELOPE
    ]


def numbers(folder: Path | None = None) -> list[int]:
    """Return the numbers of the metrics in a journal, in its order."""
    return [each.event.epoch for each in envelopes(folder) if isinstance(each.event, MetricEvent)]


def kinds(folder: Path | None = None) -> Counter[str]:
    """Count the envelopes of a journal by kind."""
    return Counter(each.kind for each in envelopes(folder))
