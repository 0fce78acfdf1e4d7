"""A real broker, and a client for it made of bare sockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import zmq

from drytorch_schemas import control, frames
from drytorch_schemas.endpoint import Endpoint
from uplinks import PRODUCER, TOKEN, batch, hello

COMMAND = [sys.executable, "-P", "-m", "drytorch_broker"]


def run(*arguments: str | Path, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    """Run a command of the broker to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


class Daemon:
    """A broker in a process of its own, ready when made."""

    def __init__(self, journal: Path, *options: str, **environment: str) -> None:
        self.journal = journal
        self.process = subprocess.Popen(
            [*COMMAND, "start", "--journal", str(journal), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        if not self.line:
            pytest.fail(f"no broker: {self.process.communicate()[1]}")
        self.url: str = json.loads((journal / "endpoint.json").read_text())["url"]

    def ask(self, what: str, name: str = "") -> Any:
        """Return an answer of the broker."""
        with Client(self.url) as client:
            return client.call(
                control.Ask.model_validate({"id": 1, "what": what, "name": name})
            ).data

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.communicate()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to stop; return its exit code and its log."""
        self.process.send_signal(number)
        log = self.process.communicate(timeout=10)[1]
        return self.process.returncode, log

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        if self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
        if kind is not None:
            self.kill()
            return
        code, log = self.stop()
        assert code == 0, log


class Client:
    """One connection to each of a broker's sockets."""

    def __init__(self, url: str, *subscriptions: bytes) -> None:
        endpoint = Endpoint.from_url(url)
        self.context = zmq.Context()
        self.pub = self.context.socket(zmq.XPUB)
        self.pub.setsockopt(zmq.IMMEDIATE, 1)
        self.pub.connect(endpoint.ingest)
        self.control = self.context.socket(zmq.DEALER)
        self.control.connect(endpoint.control)
        self.sub = self.context.socket(zmq.SUB)
        self.sub.connect(endpoint.fanout)
        for subscription in subscriptions:
            self.sub.subscribe(subscription)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.destroy(linger=0)

    def call(self, message: control.Message, seconds: float = 5) -> Any:
        """Send a request and return the answer with its id."""
        self.send(message)
        return self.receive(lambda answer: answer.id == message.id, seconds)

    def send(self, message: control.Message) -> None:
        """Send a control message."""
        self.control.send(control.encode(message))

    def receive(self, fits: Any, seconds: float = 5) -> Any:
        """Return the next control message that fits."""
        end = time.monotonic() + seconds
        seen = []
        while (left := end - time.monotonic()) > 0:
            if self.control.poll(int(left * 1000)):
                seen.append(control.decode(self.control.recv()))
                if fits(seen[-1]):
                    return seen[-1]
        pytest.fail(f"no such answer within {seconds:g} s, but {seen}")

    def welcome(self, **fields: Any) -> control.Welcome:
        """Say hello, wait until the broker listens, and return its welcome."""
        if not self.pub.poll(5000):
            pytest.fail("the broker does not listen")
        answer: control.Welcome = self.call(hello(**fields))
        return answer

    def publish(self, first: int, count: int = 1, **options: Any) -> None:
        """Publish a batch."""
        self.pub.send_multipart(frames.encode_uplink(*batch(first, count, **options)))

    def acknowledged(self, seq: int, seconds: float = 5) -> control.Ack:
        """Wait until everything up to a number is acknowledged."""
        answer: control.Ack = self.receive(
            lambda found: found.type == "ack" and found.durable >= seq, seconds
        )
        return answer

    def probe(self, last: int, oldest: int = 1, producer: str = PRODUCER) -> control.Ack:
        """Ask how far the broker is."""
        message = control.Probe(id=9, producer=producer, token=TOKEN, last=last, oldest=oldest)
        answer: control.Ack = self.call(message)
        return answer

    def fetch(self, start: int = 0, **fields: Any) -> control.Records:
        """Return records."""
        values = {"filters": [control.Filter()]} | fields
        answer: control.Records = self.call(control.Fetch(id=5, start=start, **values))
        return answer
