"""The control socket: one message in, one answer out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import zmq

from drytorch_broker import status
from drytorch_broker.outbox import Outbox
from drytorch_broker.state import State
from drytorch_schemas import control
from drytorch_schemas.errors import SchemaError
from drytorch_schemas.limits import PROTOCOL_VERSION

_log: Final = logging.getLogger(__name__)
#: Answers before ingest gets its turn again.
MAX_SERVED: Final = 64

Reply = control.Message | bytes | None


class Requests:
    """Answers requests.

    Attributes:
        stop_asked: whether somebody asked the broker to stop.
    """

    def __init__(
        self,
        state: State,
        socket: zmq.Socket[bytes],
        outbox: Outbox,
        url: str,
        ports: dict[str, int],
    ) -> None:
        """Initialize.

        Args:
            state: the broker's state.
            socket: the ROUTER socket.
            outbox: sends answers.
            url: where the broker listens.
            ports: TCP ports to tell peers.
        """
        self._state = state
        self._socket = socket
        self._outbox = outbox
        self._url = url
        self._ports = ports
        self._workers_by_peer: dict[bytes, str] = {}
        self.stop_asked = False
        self._handlers: dict[type[control.Message], Callable[[Any, bytes, float], Reply]] = {
            control.Hello: self._hello,
            control.Probe: self._probe,
            control.Bye: self._bye,
            control.Attach: self._attach,
            control.Fetch: self._fetch,
            control.FetchContext: self._context,
            control.Commit: self._commit,
            control.DeadLetter: self._dead_letter,
            control.Detach: self._detach,
            control.Ask: self._ask,
        }

    def serve(self, now: float) -> bool:
        """Answer what has come, up to a limit; tell whether there may be more.

        Args:
            now: the time, seconds.
        """
        for _ in range(MAX_SERVED):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return False
            peer, data = parts[0], parts[-1]
            if len(parts) != 2:  # noqa: PLR2004  # a DEALER's one frame, and the peer before it
                self._state.rejects.add("control", "a control message has one frame", data)
                continue
            answer = self._answer(peer, data, now)
            if answer is not None:
                self._outbox.send(
                    peer, answer if isinstance(answer, bytes) else control.encode(answer)
                )
        return True

    def _answer(self, peer: bytes, data: bytes, now: float) -> Reply:
        try:
            message = control.decode(data)
            handler = self._handlers[type(message)]
        except (SchemaError, KeyError) as error:
            text = str(error) if isinstance(error, SchemaError) else "not a request"
            self._state.rejects.add("control", text, data)
            return control.Refused(code="bad_request", text=text[:500])
        return handler(message, peer, now)

    # ---- producers

    def _hello(self, message: control.Hello, peer: bytes, now: float) -> Reply:
        answer = self._state.inlet.on_hello(message, now, self._ports)
        return self._routed(answer, message.producer, peer)

    def _probe(self, message: control.Probe, peer: bytes, now: float) -> Reply:
        return self._routed(self._state.inlet.on_probe(message, now), message.producer, peer)

    def _bye(self, message: control.Bye, peer: bytes, now: float) -> Reply:
        return self._routed(self._state.inlet.on_bye(message, now), message.producer, peer)

    def _routed(self, answer: Reply, producer: str, peer: bytes) -> Reply:
        """Remember where a producer is; one that was refused may be somebody else."""
        if isinstance(answer, control.Refused):
            self._state.rejects.add(answer.code, answer.text)
        else:
            self._outbox.route(producer, peer)
        return answer

    # ---- workers

    def _attach(self, message: control.Attach, peer: bytes, now: float) -> Reply:
        if message.version > PROTOCOL_VERSION:
            text = f"this broker speaks protocol version {PROTOCOL_VERSION}: update drytorch-bus"
            return control.Refused(id=message.id, code="version", text=text)
        log = self._state.log
        self._workers_by_peer[peer] = message.worker
        return self._state.workers.attach(message, now, log.start, log.durable, self._ports)

    def _fetch(self, message: control.Fetch, peer: bytes, now: float) -> Reply:
        name = self._workers_by_peer.get(peer)
        worker = self._state.workers.by_name.get(name) if name is not None else None
        if worker is not None:
            worker.seen = now
        return self._read(message.id, lambda: self._state.history.fetch(message))

    def _context(self, message: control.FetchContext, _peer: bytes, _now: float) -> Reply:
        return self._read(message.id, lambda: self._state.history.context(message))

    def _read(self, message_id: int, read: Callable[[], bytes]) -> Reply:
        try:
            return read()
        except OSError as error:
            _log.exception("the journal cannot be read")
            text = f"the journal cannot be read: {error.strerror}"
            return control.Refused(id=message_id, code="journal", text=text)

    def _commit(self, message: control.Commit, _peer: bytes, now: float) -> Reply:
        return self._state.workers.commit(message, now, self._state.log.durable)

    def _dead_letter(self, message: control.DeadLetter, _peer: bytes, now: float) -> Reply:
        return self._state.workers.dead_letter(message, now)

    def _detach(self, message: control.Detach, peer: bytes, now: float) -> Reply:
        self._workers_by_peer.pop(peer, None)
        return self._state.workers.detach(message, now)

    # ---- operators

    def _ask(self, message: control.Ask, _peer: bytes, now: float) -> Reply:
        data: Any = {}
        if message.what == "status":
            data = status.of_broker(self._state, self._url, now)
        elif message.what == "runs":
            data = status.of_runs(self._state, message.name)
        elif message.what == "workers":
            data = status.of_workers(self._state, now)
        elif message.what == "dead":
            data = status.of_dead(self._state, message.name)
        else:
            self.stop_asked = True
        return control.Answer(id=message.id, data=data)

    def forget_peers(self, now: float) -> None:
        """Forget the connections of workers that are gone."""
        names = {worker.name for worker in self._state.workers.attached(now)}
        self._workers_by_peer = {
            peer: name for peer, name in self._workers_by_peer.items() if name in names
        }
