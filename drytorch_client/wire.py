"""The sender thread's sockets: an XPUB for batches and a DEALER for control, both to the broker.

Every send may be lost; the uplink is the remedy. Only one thread may use an object of this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

import zmq

from drytorch_client.control import harden
from drytorch_schemas import control, frames
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import DecodingError

#: Batches that may wait in the socket; what comes above stays with the uplink.
_BATCHES: Final = 16
_LOCAL_RECONNECT_MS: Final = 200


class _Wakeable(Protocol):
    def fileno(self) -> int:
        """Return a descriptor to poll for reading."""


class Wire:
    """A connection to a broker that comes back by itself.

    Attributes:
        endpoint: where the broker listens.
        up: whether the broker listens to batches at the moment.
    """

    def __init__(self, endpoint: Endpoint, wakeable: _Wakeable | None = None) -> None:
        """Connect; nothing is waited for.

        Args:
            endpoint: where the broker listens.
            wakeable: what else ends a wait.
        """
        self.endpoint: Final = endpoint
        self.up = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._batches = self._socket(zmq.XPUB)
        self._control = self._socket(zmq.DEALER)
        self._batches.set(zmq.XPUB_NODROP, 1)
        self._batches.set(zmq.SNDHWM, _BATCHES)
        self._batches.connect(endpoint.ingest)
        self._control.connect(endpoint.control)
        self._poller = zmq.Poller()
        self._poller.register(self._batches, zmq.POLLIN)
        self._poller.register(self._control, zmq.POLLIN)
        if wakeable is not None:
            self._poller.register(wakeable.fileno(), zmq.POLLIN)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        harden(socket, self.endpoint)
        # nothing is queued for a broker that is away
        socket.set(zmq.IMMEDIATE, 1)
        if self.endpoint.loopback:
            socket.set(zmq.RECONNECT_IVL_MAX, _LOCAL_RECONNECT_MS)
        return socket

    def wait(self, seconds: float) -> None:
        """Wait until something comes in, or the waker wakes.

        Args:
            seconds: longest wait.
        """
        self._poller.poll(max(round(seconds * 1000), 0))

    def presence(self) -> Iterator[bool]:
        """Yield each coming (True) and going (False) of the broker since the last call."""
        with contextlib.suppress(zmq.Again):
            while True:
                self.up = self._batches.recv(zmq.DONTWAIT)[:1] == b"\1"
                yield self.up

    def messages(self) -> Iterator[control.Message]:
        """Yield the broker's messages since the last call."""
        with contextlib.suppress(zmq.Again):
            while True:
                data = self._control.recv(zmq.DONTWAIT)
                with contextlib.suppress(DecodingError):
                    yield control.decode(data)

    def send_batch(self, header: frames.UplinkHeader, body: bytes) -> bool:
        """Send a batch, or live events; tell whether the socket had room.

        Args:
            header: who sends what.
            body: array of envelopes.
        """
        try:
            self._batches.send_multipart(frames.encode_uplink(header, body), zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def send_control(self, message: control.Message) -> None:
        """Send a control message, where there is a connection.

        Args:
            message: the message.
        """
        with contextlib.suppress(zmq.Again):
            self._control.send(control.encode(message), zmq.DONTWAIT)

    def close(self, linger: float = 0.0) -> None:
        """Close the connection.

        Args:
            linger: longest wait for what is not sent yet, seconds.
        """
        self._context.destroy(linger=int(linger * 1000))
