"""A broker that is killed at a named place, and a client that sends to it until it is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from drytorch_schemas import control
from drytorch_schemas.control import Ack
from drytorch_schemas.failpoints import VARIABLE
from raw_broker import COMMAND, Client
from uplinks import hello

#: Events in each batch.
BATCH = 10
OPTIONS = ("--segment-bytes", "4096")


class Doomed:
    """A broker that a failpoint kills, at its start or while it takes events."""

    def __init__(self, journal: Path, point: str, *options: str) -> None:
        self._journal = journal
        self._point = point
        self._process = subprocess.Popen(
            [*COMMAND, "start", "--journal", str(journal), *OPTIONS, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {VARIABLE: point},
        )

    def feed(self, acknowledged: int, most: int = 2000) -> int:
        """Send events until it dies; return up to which number it acknowledged them.

        Args:
            acknowledged: what earlier brokers acknowledged: this one must know that.
            most: how many events to send at most.
        """
        assert self._process.stdout is not None
        try:
            if self._process.stdout.readline():
                url = json.loads((self._journal / "endpoint.json").read_text())["url"]
                with Client(url) as client:
                    acknowledged = self._send(client, acknowledged, acknowledged + most)
            self._process.wait(20)
        finally:
            self._process.kill()
            log = self._process.communicate()[1]
        assert self._process.returncode == -signal.SIGKILL, (self._point, log)
        return acknowledged

    def _send(self, client: Client, acknowledged: int, last: int) -> int:
        client.control.send(control.encode(hello(acknowledged + 1, acknowledged + 1)))
        durable, sent = None, 0
        end = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < end:
            for answer in answers(client):
                if durable is None:
                    assert answer.durable >= acknowledged, f"{self._point}: lost"
                durable = acknowledged = max(acknowledged, answer.durable)
            if durable is None:
                continue
            sent = max(sent, durable)
            if sent < durable + 3 * BATCH and sent < last:
                client.publish(sent + 1, BATCH)
                sent += BATCH
            elif sent >= last:
                pytest.fail(f"{self._point} was never reached")
        return acknowledged


def answers(client: Client) -> list[Ack | control.Welcome]:
    """Return what a broker says of how far it is, after waiting a moment."""
    found: list[Ack | control.Welcome] = []
    while client.control.poll(0 if found else 20):
        message = control.decode(client.control.recv())
        if isinstance(message, Ack | control.Welcome):
            found.append(message)
    return found


def tear(journal: Path) -> None:
    """Put half a record behind the last one, and remove the side files that speed a start up."""
    last = max(journal.glob("*.msgpack"))
    with last.open("ab") as file:
        file.write(b"\x95\x01\xcf" + bytes(40))
    for path in journal.glob("*.index"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
