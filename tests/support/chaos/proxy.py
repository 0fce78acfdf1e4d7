"""A bad line between clients and a broker: `proxy.py CONFIG`, three ports each way.

The config is a JSON file that is read again whenever it changes: `front` and `back` (first of three
ports each), and chances from 0 to 1 for messages that are `lost`, `twice`, and `late` (by up to
`delay` seconds, so that others overtake them), or everything `cut`.
"""

import heapq
import itertools
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import zmq

Frames = list[bytes]
_TICK_MS = 5


class Line:
    """Sockets on both sides, and what is under way between them."""

    def __init__(self, config: Path) -> None:
        self._config_file = config
        self._read_at = 0.0
        self.config: dict[str, Any] = {}
        self._chance = random.Random(0)
        self._under_way: list[tuple[float, int, zmq.Socket[bytes], Frames]] = []
        self._count = itertools.count()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._callers: dict[bytes, zmq.Socket[bytes]] = {}
        self._reload()
        front = self.config["front"]
        self._ingest = self._open(zmq.SUB, front)
        self._control = self._open(zmq.ROUTER, front + 1)
        self._fanout = self._open(zmq.XPUB, front + 2)
        self._ingest.subscribe(b"")
        self._connect()

    def _open(self, kind: int, port: int = 0) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.set(zmq.LINGER, 0)
        if port:
            socket.bind(f"tcp://127.0.0.1:{port}")
            self._poller.register(socket, zmq.POLLIN)
        return socket

    def _connect(self) -> None:
        back = self._back = self.config["back"]
        self._to_ingest = self._open(zmq.PUB)
        self._to_ingest.connect(f"tcp://127.0.0.1:{back}")
        self._from_fanout = self._open(zmq.SUB)
        self._from_fanout.subscribe(b"")
        self._from_fanout.connect(f"tcp://127.0.0.1:{back + 2}")
        self._poller.register(self._from_fanout, zmq.POLLIN)

    def _reload(self) -> None:
        if time.monotonic() - self._read_at < 0.05:
            return
        self._read_at = time.monotonic()
        try:
            self.config = json.loads(self._config_file.read_text())
        except ValueError:  # just being written
            return

    def run(self) -> None:
        """Pass messages on for ever."""
        while True:
            self._reload()
            if self.config["back"] != self._back:
                self._move()
            ready = dict(self._poller.poll(_TICK_MS))
            for socket in ready:
                self._drain(socket)
            while self._under_way and self._under_way[0][0] <= time.monotonic():
                _, _, socket, parts = heapq.heappop(self._under_way)
                self._send(socket, parts)

    def _move(self) -> None:
        """Go to the broker's new place, as an operator who repoints a forwarded port does."""
        self._poller.unregister(self._from_fanout)
        self._from_fanout.close()
        self._to_ingest.close()
        for socket in self._callers.values():
            self._poller.unregister(socket)
            socket.close()
        self._callers.clear()
        self._under_way.clear()
        self._connect()

    def _drain(self, socket: zmq.Socket[bytes]) -> None:
        try:
            while True:
                parts = socket.recv_multipart(zmq.DONTWAIT)
                if socket is self._fanout:
                    continue  # a subscription: everything comes through anyway
                target, parts = self._route(socket, parts)
                self._pass_on(target, parts)
        except zmq.Again:
            return

    def _route(self, socket: zmq.Socket[bytes], parts: Frames) -> tuple[zmq.Socket[bytes], Frames]:
        if socket is self._ingest:
            return self._to_ingest, parts
        if socket is self._from_fanout:
            return self._fanout, parts
        if socket is self._control:
            return self._caller(parts[0]), parts[1:]
        identity = next(name for name, each in self._callers.items() if each is socket)
        return self._control, [identity, *parts]

    def _caller(self, identity: bytes) -> zmq.Socket[bytes]:
        if identity not in self._callers:
            socket = self._callers[identity] = self._open(zmq.DEALER)
            socket.connect(f"tcp://127.0.0.1:{self._back + 1}")
            self._poller.register(socket, zmq.POLLIN)
        return self._callers[identity]

    def _pass_on(self, socket: zmq.Socket[bytes], parts: Frames) -> None:
        config = self.config
        if config["cut"] or self._chance.random() < config["lost"]:
            return
        for _ in range(2 if self._chance.random() < config["twice"] else 1):
            late = self._chance.random() < config["late"]
            due = time.monotonic() + (self._chance.uniform(0, config["delay"]) if late else 0)
            if due > time.monotonic():
                heapq.heappush(self._under_way, (due, next(self._count), socket, parts))
            else:
                self._send(socket, parts)

    @staticmethod
    def _send(socket: zmq.Socket[bytes], parts: Frames) -> None:
        try:
            socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.ZMQError:  # nobody there, or the socket was closed when the broker moved
            return


if __name__ == "__main__":
    Line(Path(sys.argv[1])).run()
