"""A producer of few lines, and a broker of this test, for tests of workers and commands."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import zmq

from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control, frames
from drytorch_schemas.endpoint import Endpoint, default_endpoint
from feeding import Run
from hosts import BIN, Host, eventually

TOKEN = b"0123456789abcdef"


class Producer:
    """Sends batches until they are acknowledged."""

    def __init__(self, url: str, run: Run) -> None:
        self.run = run
        self.next = 1
        self._context = zmq.Context()
        endpoint = Endpoint.from_url(url)
        self._data = self._context.socket(zmq.XPUB)
        self._control = self._context.socket(zmq.DEALER)
        for socket, where in ((self._data, endpoint.ingest), (self._control, endpoint.control)):
            socket.linger = 0
            socket.connect(where)

    def hello(self) -> None:
        """Say who this is."""
        message = control.Hello(
            producer=self.run.origin.producer,
            token=TOKEN,
            host="elsewhere",
            pid=os.getpid(),
            oldest=self.next,
            next=self.next,
        )
        self._control.send(control.encode(message))

    def send(self, payloads: Sequence[bytes], seconds: float = 30) -> None:
        """Send envelopes, again and again until the broker has them on disk."""
        header = self._header(len(payloads), live=False)
        message = frames.encode_uplink(header, frames.array_of(payloads))
        last = self.next + len(payloads) - 1
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.hello()
            self._data.send_multipart(message)
            if self._acknowledged(last):
                self.next = last + 1
                return
        raise TimeoutError(f"no acknowledgement of {last} within {seconds} s")

    def send_live(self, payloads: Sequence[bytes]) -> None:
        """Send live envelopes once."""
        header = self._header(len(payloads), live=True)
        self._data.send_multipart(frames.encode_uplink(header, frames.array_of(payloads)))

    def close(self) -> None:
        """Close the sockets."""
        self._data.close()
        self._control.close()
        self._context.term()

    def _header(self, count: int, *, live: bool) -> frames.UplinkHeader:
        first = 0 if live else self.next
        return frames.UplinkHeader(live, self.run.origin.producer, TOKEN, first, count)

    def _acknowledged(self, last: int) -> bool:
        end = time.monotonic() + 0.5
        while (left := end - time.monotonic()) > 0 and self._control.poll(int(left * 1000)):
            answer = control.decode(self._control.recv())
            if isinstance(answer, control.Ack | control.Welcome) and answer.durable >= last:
                return True
        return False


class Broker:
    """A broker on a journal folder of its own, which can be killed and started again."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.folder = folder
        self._host = host
        self._process = self._start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return default_endpoint(self.folder).url

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        """Start it again."""
        self._process = self._start()

    def close(self) -> None:
        """Stop it in good order."""
        if self._process.poll() is None:
            self._process.terminate()
            self._host.finish(self._process)

    def _start(self) -> subprocess.Popen[str]:
        process = self._host.start(
            BIN / "drytorch-broker", "start", "--journal", self.folder, "--fsync", "never"
        )

        def ready() -> bool:
            assert process.poll() is None, process.communicate()
            try:
                with ControlChannel(Endpoint.from_url(self.url)) as channel:
                    channel.request(control.Ask(what="status"), 0.2)
            except BrokerAwayError:
                return False
            return True

        eventually(ready, 30, "the broker is ready")
        return process
