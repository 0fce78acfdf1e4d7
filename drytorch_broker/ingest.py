"""Batches and live events from clients: receive, check, hand to the inlet or pass on."""

from __future__ import annotations

from typing import Final

import zmq

from drytorch_broker.outbox import Outbox
from drytorch_broker.refusals import same_token
from drytorch_broker.state import State
from drytorch_broker.verdict import Outcome
from drytorch_schemas import envelope, frames, topics
from drytorch_schemas.control import Refused
from drytorch_schemas.errors import DecodingError, SchemaError
from drytorch_schemas.limits import MAX_EVENT_BYTES

#: A commit follows at the latest after so many bytes.
MAX_DRAIN_BYTES: Final = 4 << 20
MAX_DRAIN_MESSAGES: Final = 2000


class Ingest:
    """Drains the ingest socket."""

    def __init__(self, state: State, socket: zmq.Socket[bytes], outbox: Outbox) -> None:
        """Initialize.

        Args:
            state: the broker's state.
            socket: the SUB socket.
            outbox: where live events and refusals go.
        """
        self._state = state
        self._socket = socket
        self._outbox = outbox

    def drain(self, now: float) -> bool:
        """Take what has come, up to a limit; tell whether there may be more.

        Args:
            now: the time, seconds.
        """
        room = MAX_DRAIN_BYTES
        for _ in range(MAX_DRAIN_MESSAGES):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return False
            self._take(parts, now)
            room -= sum(map(len, parts))
            if room < 0:
                break
        return True

    def _take(self, parts: list[bytes], now: float) -> None:
        try:
            header, body = frames.decode_uplink(parts)
        except SchemaError as error:
            self._state.rejects.add("frame", str(error), b"".join(parts)[:1024])
            return
        if header.live:
            self._pass_on(header, body, now)
            return
        verdict = self._state.inlet.on_batch(header, body, now)
        if verdict.outcome is Outcome.DUPLICATE:
            self._state.counters.duplicates += 1
        elif verdict.outcome is Outcome.REFUSED:
            self._state.rejects.add(verdict.reason, verdict.text, body)
            self._refuse(header, verdict.reason, verdict.text)

    def _refuse(self, header: frames.UplinkHeader, reason: str, text: str) -> None:
        """Tell a producer; not for a wrong token, which is somebody else's message."""
        code = {"unknown": "unknown", "body": "bad_request"}.get(reason)
        if code is not None:
            last = header.first + header.count - 1
            text = f"events {header.first} to {last} are refused: {text}"
            self._outbox.tell([Refused(code=code, text=text[:500], producer=header.producer)])

    def _pass_on(self, header: frames.UplinkHeader, body: bytes, now: float) -> None:
        producer = self._state.inlet.producers.get(header.producer)
        if producer is None or not same_token(producer, header.token):
            self._state.rejects.counts["live"] += 1
            return
        producer.seen = now
        if not self._outbox.wants_live():
            return
        try:
            for wire, payload in frames.iterate_body(body, header.count):
                envelope.check(wire)
                if wire["producer"] != header.producer or len(payload) > MAX_EVENT_BYTES:
                    raise DecodingError("a live envelope is another producer's, or too large")
                topic = topics.build(wire["experiment"], wire["run_id"], wire["kind"])
                self._outbox.publish_live(topic, payload)
                self._state.counters.live += 1
        except SchemaError as error:
            self._state.rejects.add("live", str(error), body)
