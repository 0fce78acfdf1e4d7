"""The broker's doorbells and live events, received over SUB. A lost one costs time only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import zmq

from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.envelope import Envelope, decode
from drytorch_schemas.errors import DecodingError
from drytorch_schemas.frames import DOORBELL_PREFIX, LIVE_PREFIX
from drytorch_schemas.limits import MAX_MESSAGE_BYTES

_HEARTBEAT_MS: Final = 300
_HEARTBEAT_TIMEOUT_MS: Final = 900
_MOST_LIVE: Final = 1000
_MOST_AT_ONCE: Final = 10_000


class Doorbells:
    """Subscribes to topics and waits for news of them."""

    def __init__(self, endpoint: Endpoint, prefixes: Iterable[str], *, live: bool) -> None:
        """Connect; the socket reconnects by itself.

        Args:
            endpoint: where the broker listens.
            prefixes: beginnings of the topics wanted.
            live: whether live events are wanted, too.
        """
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
        for prefix in set(prefixes):
            self._socket.subscribe(DOORBELL_PREFIX + prefix.encode())
            if live:
                self._socket.subscribe(LIVE_PREFIX + prefix.encode())
        self._endpoint = endpoint
        self._url = endpoint.fanout
        self._socket.connect(self._url)
        self._live: dict[tuple[str, str, str], bytes] = {}

    def use_ports(self, ports: Mapping[str, int]) -> None:
        """Connect to the port that a handshake told, where it is another one.

        Args:
            ports: TCP ports by name.
        """
        url = self._endpoint.with_ports(ports).fanout
        if url != self._url:
            self._socket.disconnect(self._url)
            self._socket.connect(url)
            self._url = url

    def wait(self, seconds: float) -> None:
        """Wait for a doorbell or a live event, at most so many seconds, and take all that is there.

        Args:
            seconds: the longest time.
        """
        if self._socket.poll(int(seconds * 1000)):
            self._drain()

    def live(self) -> list[Envelope]:
        """Return the live events that came, the latest of each run and source only."""
        self._drain()
        latest = list(self._live.values())
        self._live.clear()
        return [envelope for payload in latest if (envelope := _decoded(payload)) is not None]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._context.term()

    def _drain(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            if frames[0].startswith(LIVE_PREFIX) and len(frames) == 2:  # noqa: PLR2004 - topic, body
                self._keep(frames[1])

    def _keep(self, payload: bytes) -> None:
        envelope = _decoded(payload)
        if envelope is None or len(self._live) >= _MOST_LIVE:
            return
        source = str(getattr(envelope.event, "source_name", ""))
        self._live[envelope.origin.run, source, envelope.kind] = payload


def _decoded(payload: bytes) -> Envelope | None:
    try:
        return decode(payload)
    except DecodingError:
        return None
