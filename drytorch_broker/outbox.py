"""Sending to peers of the control socket, and ringing doorbells, without ever waiting."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import zmq

from drytorch_broker.log import TopicKey
from drytorch_schemas import control, frames, topics

_log: Final = logging.getLogger(__name__)
#: Doorbells of one topic are at least so far apart, seconds.
_RING_EVERY: Final = 0.005


class Outbox:
    """Knows which peer is which producer, and who has subscribed.

    Attributes:
        listeners: subscriptions on the fan-out socket.
    """

    def __init__(
        self, control_socket: zmq.Socket[bytes], fanout: zmq.Socket[bytes], journal_id: str
    ) -> None:
        """Initialize.

        Args:
            control_socket: the ROUTER.
            fanout: the XPUB.
            journal_id: the journal's id, for doorbells.
        """
        self._control = control_socket
        self._fanout = fanout
        self._journal = bytes.fromhex(journal_id)
        self._routes: dict[str, bytes] = {}
        self._rung_at = 0.0
        self.listeners: set[bytes] = set()

    def route(self, producer: str, peer: bytes) -> None:
        """Remember which peer speaks for a producer."""
        self._routes[producer] = peer

    def forget(self, living: Iterable[str]) -> None:
        """Forget the peers of producers that are gone."""
        self._routes = {name: self._routes[name] for name in living if name in self._routes}

    def send(self, peer: bytes, data: bytes) -> None:
        """Send to a peer, or not, where it is gone or does not read."""
        try:
            self._control.send_multipart([peer, data], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            _log.debug("a peer cannot be reached: %s", error)

    def tell(self, messages: Iterable[control.Ack | control.Nak | control.Refused]) -> None:
        """Send messages to the producers that they are for.

        Args:
            messages: acknowledgements, resend requests, refusals.
        """
        for message in messages:
            peer = self._routes.get(message.producer)
            if peer is not None:
                self.send(peer, control.encode(message))

    def read_subscriptions(self) -> None:
        """Take note of who subscribes to what."""
        while True:
            try:
                message = self._fanout.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            if message[:1] == b"\x01":
                self.listeners.add(message[1:])
            elif message[:1] == b"\x00":
                self.listeners.discard(message[1:])

    def wants_live(self) -> bool:
        """Tell whether anybody has subscribed to live events."""
        prefix = frames.LIVE_PREFIX
        return any(each.startswith(prefix) or prefix.startswith(each) for each in self.listeners)

    def ring(self, news: set[TopicKey], head: int, now: float) -> bool:
        """Ring the doorbells of topics with news, and empty the set.

        Args:
            news: the topics.
            head: the first offset not yet used.
            now: the time, seconds.

        Returns:
            Whether that is done; else it is too early.
        """
        if not news:
            return True
        if now - self._rung_at < _RING_EVERY:
            return False
        self._rung_at = now
        if self.listeners:
            for key in news:
                topic = topics.build(key.experiment, key.run_id, key.kind)
                self._publish(frames.encode_doorbell(topic, self._journal, head))
        news.clear()
        return True

    def publish_live(self, topic: str, envelope: bytes) -> None:
        """Pass a live event on.

        Args:
            topic: its topic.
            envelope: the encoded envelope.
        """
        self._publish(frames.encode_live(topic, envelope))

    def _publish(self, parts: list[bytes]) -> None:
        try:
            self._fanout.send_multipart(parts, zmq.DONTWAIT)
        except zmq.ZMQError as error:
            _log.debug("cannot publish: %s", error)
