"""Who delivers events, and what it says to a broker."""

from __future__ import annotations

from dataclasses import dataclass

from drytorch_schemas.control import Bye, Hello, Probe


@dataclass(frozen=True, slots=True)
class Producer:
    """Who an uplink speaks for.

    Attributes:
        id: id of the producer.
        token: its secret.
        host: name of its host.
        pid: its process.
        spool: folder of its spool.
        adopted: whether its process is dead and somebody else delivers what it left.
    """

    id: str
    token: bytes
    host: str
    pid: int
    spool: str = ""
    adopted: bool = False

    def hello(self, message_id: int, oldest: int, upcoming: int) -> Hello:
        """Return the message that begins a connection.

        Args:
            message_id: id that the answer repeats.
            oldest: the oldest sequence number that is still held.
            upcoming: the sequence number that the next event gets.
        """
        return Hello(
            id=message_id,
            producer=self.id,
            token=self.token,
            host=self.host,
            pid=self.pid,
            oldest=oldest,
            next=upcoming,
            adopted=self.adopted,
            spool=self.spool,
        )

    def probe(self, message_id: int, oldest: int, last: int) -> Probe:
        """Return the question how far the broker is.

        Args:
            message_id: id that the answer repeats.
            oldest: the oldest sequence number that is still held.
            last: the last sequence number that was sent.
        """
        return Probe(id=message_id, producer=self.id, token=self.token, last=last, oldest=oldest)

    def bye(self, message_id: int, last: int) -> Bye:
        """Return the message that ends a producer.

        Args:
            message_id: id that the answer repeats.
            last: the last sequence number that was given.
        """
        return Bye(id=message_id, producer=self.id, token=self.token, last=last)
