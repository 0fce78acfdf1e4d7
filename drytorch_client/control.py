"""The control channel: one request, one answer. Workers and commands use it from one thread."""

from __future__ import annotations

import itertools
import time
from typing import Final, Self

import zmq

from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.limits import MAX_MESSAGE_BYTES

HEARTBEAT_MS: Final = 300
HEARTBEAT_TIMEOUT_MS: Final = 900
_QUEUED: Final = 1000
_LINGER_MS: Final = 200


def harden(socket: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    """Give a socket this project's bounds.

    Args:
        socket: a socket that is not connected yet.
        endpoint: where it will connect to.
    """
    socket.set(zmq.IPV6, int("[" in endpoint.control))
    socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket.set(zmq.RECONNECT_IVL, 50)
    socket.set(zmq.RECONNECT_IVL_MAX, 1000)
    socket.set(zmq.SNDHWM, _QUEUED)
    socket.set(zmq.RCVHWM, _QUEUED)
    socket.set(zmq.LINGER, _LINGER_MS)


class ControlChannel:
    """Requests to a broker and their answers. Not for several threads.

    A request that got no answer in time may still be answered later; such answers are passed over.
    The connection comes back by itself.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Initialize.

        Args:
            endpoint: where the broker listens.
        """
        self._endpoint: Final = endpoint
        self._ids = itertools.count(1)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._connected()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, message: control.Message, timeout: float) -> control.AnyMessage:
        """Send a request and return its answer, which may be a `Refused`.

        Args:
            message: the request; its `id` is replaced.
            timeout: longest wait in seconds.

        Raises:
            BrokerAwayError: no answer came in time.
        """
        numbered = message.model_copy(update={"id": next(self._ids)})
        until = time.monotonic() + timeout
        try:
            self._socket.send(control.encode(numbered), zmq.DONTWAIT)
        except zmq.Again:
            raise self._away(timeout) from None
        while (left := until - time.monotonic()) > 0:
            if not self._socket.poll(max(int(left * 1000), 1)):
                continue
            answer = self._received()
            if answer is not None and answer.id == numbered.id:
                return answer
        self._renew()
        raise self._away(timeout)

    def close(self) -> None:
        """Close the connection; doing it twice does no harm."""
        if not self._context.closed:
            self._socket.close()
            self._context.term()

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        harden(socket, self._endpoint)
        socket.connect(self._endpoint.control)
        return socket

    def _renew(self) -> None:
        # so that requests without an answer do not pile up for a broker that is away
        self._socket.close(linger=0)
        self._socket = self._connected()

    def _received(self) -> control.AnyMessage | None:
        try:
            return control.decode(self._socket.recv(zmq.DONTWAIT))
        except (zmq.Again, DecodingError):
            return None

    def _away(self, timeout: float) -> BrokerAwayError:
        return BrokerAwayError(
            f"No broker answered at {self._endpoint.url} within {timeout:g} s: "
            f"start one with `drytorch-broker start`, or check the URL."
        )
