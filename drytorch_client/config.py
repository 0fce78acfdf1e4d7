"""The client's options: one frozen object, each field with its unit, its default and its effect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self, get_args

from drytorch_client.errors import BrokerUrlError, OptionError
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.errors import EndpointError
from drytorch_schemas.limits import MAX_BATCH_BYTES, MAX_BATCH_EVENTS

VARIABLE: Final = "DRYTORCH_BROKER"
DISABLED: Final = "disabled"

OnFull = Literal["drop", "block", "raise"]
SpoolMode = Literal["async", "before_return"]
_CHOICES: Final = {"on_full": get_args(OnFull), "spool": get_args(SpoolMode)}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Options of the client.

    Attributes:
        broker: URL of the broker; empty for this user's own broker on this host, which is started
            where it does not run; `disabled` for no events, no processes and no cost.
        on_full: what happens to an event when the queue is full: `drop` drops it, newest metrics
            first, and declares the loss; `block` waits in `emit`; `raise` raises QueueFullError.
        spool: `async`: the sender thread writes the spool, and a kill -9 costs what was emitted
            within the last 50 ms; `before_return`: `emit` writes it, and a kill -9 costs nothing.
        queue_bytes: most bytes of events in memory that the sender has not taken yet, 64 MiB.
        reserved_bytes: how much of that is kept for what is not a metric, 8 MiB, so that a run
            always ends.
        live_events: most progress events in memory, one per pass, 1,000. What comes above is
            dropped and counted.
        window_bytes: most bytes of unacknowledged batches in memory, 8 MiB. Older ones are read
            back from the spool; without a spool the sender takes no more from the queue.
        spool_bytes: most bytes in the spool, 4 GiB. At the limit the sender takes no more from the
            queue.
        segment_bytes: size of one file of the spool, 1 MiB; it is removed as a whole.
        batch_events: most events in one batch, 1,000.
        batch_bytes: most bytes of events in one batch, as they count in the queue, 1 MiB.
        period: pause of the sender thread between two looks at the queue while events come,
            seconds, 0.005.
        idle_period: the same when none came for a while, seconds, 0.02.
        probe_after: quiet time after which the broker is asked how far it is, while something is
            unacknowledged, seconds, 0.1. Doubles to `probe_at_most`.
        probe_at_most: longest such time, seconds, 2.
        ping_every: time between two signs of life, seconds, 10. A remote broker takes a producer
            for lost after 60.
        hello_every: time between two attempts to say hello, seconds, 0.2. Doubles to
            `probe_at_most`.
        linger: how long the last messages may take to leave when a socket closes, seconds, 0.5.
        exit_wait: longest wait for acknowledgement at the end, seconds, 5.
        away_wait: the same when the broker is known to be away, seconds, 2.
        start_broker: whether this user's own broker is started where it does not run.
    """

    broker: str = ""
    on_full: OnFull = "drop"
    spool: SpoolMode = "async"
    queue_bytes: int = 64 << 20
    reserved_bytes: int = 8 << 20
    live_events: int = 1000
    window_bytes: int = 8 << 20
    spool_bytes: int = 4 << 30
    segment_bytes: int = 1 << 20
    batch_events: int = 1000
    batch_bytes: int = 1 << 20
    period: float = 0.005
    idle_period: float = 0.02
    probe_after: float = 0.1
    probe_at_most: float = 2.0
    ping_every: float = 10.0
    hello_every: float = 0.2
    linger: float = 0.5
    exit_wait: float = 5.0
    away_wait: float = 2.0
    start_broker: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            BrokerUrlError: `broker` is no URL of a broker.
            OptionError: another option has an impossible value.
        """
        if self.broker and not self.disabled:
            _check_url(self.broker, "broker")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise OptionError(
                    f"Option {name} cannot be {getattr(self, name)!r}: "
                    f"use one of {', '.join(choices)}."
                )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", "float") and not value > 0:
                raise OptionError(
                    f"Option {field.name} cannot be {value!r}: use a number above zero."
                )
        if self.reserved_bytes >= self.queue_bytes:
            raise OptionError("Option reserved_bytes must be less than queue_bytes: lower it.")
        if self.batch_events > MAX_BATCH_EVENTS or self.batch_bytes > MAX_BATCH_BYTES:
            raise OptionError(
                f"A batch holds at most {MAX_BATCH_EVENTS} events and {MAX_BATCH_BYTES} bytes: "
                f"lower batch_events or batch_bytes."
            )

    @property
    def disabled(self) -> bool:
        """Whether nothing is reported at all."""
        return self.broker == DISABLED

    @classmethod
    def from_environment(
        cls,
        broker: str | None = None,
        environment: Mapping[str, str] = os.environ,
        **options: Any,
    ) -> Self:
        """Return the options, with the broker that DRYTORCH_BROKER names.

        Args:
            broker: URL of the broker, or `disabled`; it wins over the variable, but a variable
                that says `disabled` wins over all.
            environment: where the variable is looked up.
            options: other fields.

        Raises:
            BrokerUrlError: argument or variable are no URL of a broker.
            OptionError: there is no such option, or its value cannot be used.
        """
        variable = environment.get(VARIABLE, "")
        if variable == DISABLED:
            broker = DISABLED
        elif not broker:
            if variable:
                _check_url(variable, VARIABLE)
            broker = variable
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(options) - names):
            raise OptionError(
                f"There is no option {unknown[0]}: use one of {', '.join(sorted(names))}."
            )
        return cls(broker=broker, **options)


def _check_url(url: str, where: str) -> None:
    try:
        Endpoint.from_url(url)
    except EndpointError as error:
        raise BrokerUrlError(f"{where}: {error}") from error
