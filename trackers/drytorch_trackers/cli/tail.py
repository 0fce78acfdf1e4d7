"""`drytorch tail`: events as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters

if TYPE_CHECKING:
    from drytorch_client.control import ControlChannel
    from drytorch_schemas.topics import TopicFilter
    from drytorch_trackers.doorbell import Doorbells

SETTINGS: Final[Mapping[str, Any]] = {"name": "tail"}
EPILOG: Final = """\b
Examples:
  drytorch tail
  drytorch tail --experiment Digits --json | jq .event
  drytorch tail --broker tcp://127.0.0.1:7750
"""
_HEARTBEAT: Final = 1.0
_PATIENCE: Final = 45.0


def command(
    experiment: parameters.Experiment = "*",
    run: parameters.Run = "*",
    broker: parameters.Broker = None,
    json: parameters.Json = False,
) -> int:
    """Print durable events as they reach the journal, until Ctrl-C."""
    from drytorch_schemas.topics import TopicFilter
    from drytorch_trackers.cli.broker import channel_to, endpoint_of, head_of
    from drytorch_trackers.doorbell import Doorbells

    wanted = TopicFilter(experiment, run)
    endpoint = endpoint_of(broker)
    with channel_to(endpoint) as channel:
        start = head_of(channel)
        bell = Doorbells(endpoint, [wanted.prefix()], live=False)
        try:
            _follow(channel, bell, wanted, start, as_json=json)
        finally:
            bell.close()
    return exit_codes.OK


def _follow(
    channel: ControlChannel, bell: Doorbells, wanted: TopicFilter, start: int, *, as_json: bool
) -> None:
    from drytorch_client.errors import BrokerAwayError
    from drytorch_schemas import control
    from drytorch_trackers.cli.broker import ask

    filters = [control.Filter.wired(wanted)]
    answered = time.monotonic()
    while True:
        try:
            answer = ask(channel, control.Fetch(start=start, filters=filters))
        except BrokerAwayError:
            if time.monotonic() - answered > _PATIENCE:
                raise
            continue
        answered = time.monotonic()
        for _, payload in answer.records:
            print(_line(payload, as_json=as_json))
        sys.stdout.flush()
        start = answer.covered_to
        if answer.covered_to >= answer.head:
            bell.wait(_HEARTBEAT)


def _line(payload: bytes, *, as_json: bool) -> str:
    from drytorch_schemas.envelope import check
    from drytorch_schemas.packing import unpack
    from drytorch_trackers.cli import display
    from drytorch_trackers.terminal import printable

    wire = check(unpack(payload))
    if as_json:
        return display.as_json(wire)
    fields = " ".join(f"{name}={display.as_json(value)}" for name, value in wire["event"].items())
    moment = display.local_time(wire["time"])
    return printable(f"{moment} {wire['experiment']}/{wire['run_id']} {wire['kind']} {fields}")
