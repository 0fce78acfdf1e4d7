"""How subcommands find the broker and talk to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Final

from drytorch_client.broker_address import local_endpoint
from drytorch_client.config import DISABLED, VARIABLE
from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.topics import TopicFilter
from drytorch_trackers import exit_codes
from drytorch_trackers.errors import WorkError

TIMEOUT: Final = 3.0


def endpoint_of(url: str | None) -> Endpoint:
    """Return where the broker listens.

    Args:
        url: what the user gave on the command line.

    Raises:
        EndpointError: the URL, or that in the environment, is none.
    """
    named = url or os.environ.get(VARIABLE, "")
    if named and named != DISABLED:
        return Endpoint.from_url(named)
    return local_endpoint()


@contextlib.contextmanager
def channel_to(endpoint: Endpoint) -> Iterator[ControlChannel]:
    """Open a control channel for as long as the block lasts.

    Args:
        endpoint: where the broker listens.

    Raises:
        WorkError: nobody answers there.
    """
    folder = endpoint.folder
    if folder is not None and not (folder / "control.sock").exists():
        raise _away(endpoint)
    channel = ControlChannel(endpoint)
    try:
        yield channel
    except BrokerAwayError as error:
        raise _away(endpoint) from error
    finally:
        channel.close()


def ask(channel: ControlChannel, message: control.Message) -> Any:
    """Return the answer to a request.

    Args:
        channel: an open channel.
        message: the request.

    Raises:
        WorkError: the broker refuses.
        BrokerAwayError: nobody answers.
    """
    answer = channel.request(message, TIMEOUT)
    if isinstance(answer, control.Refused):
        raise WorkError(answer.text, exit_codes.UNAVAILABLE)
    return answer


def head_of(channel: ControlChannel) -> int:
    """Return the first offset that the broker's journal has not used yet.

    Args:
        channel: an open channel.
    """
    request = control.Fetch(start=0, end=1, filters=[control.Filter()], max_records=1)
    return int(ask(channel, request).head)


def records_of(channel: ControlChannel, wanted: TopicFilter) -> Iterator[tuple[int, bytes]]:
    """Yield what a broker's journal holds now: offsets and encoded envelopes.

    Args:
        channel: an open channel.
        wanted: which envelopes.
    """
    start, head = 0, head_of(channel)
    filters = [control.Filter.wired(wanted)]
    while start < head:
        answer = ask(channel, control.Fetch(start=start, end=head, filters=filters))
        yield from answer.records
        if answer.covered_to <= start:
            return
        start = answer.covered_to


def _away(endpoint: Endpoint) -> WorkError:
    return WorkError(
        f"No broker answers at {endpoint.url}: start one with `drytorch-broker start --detach`, "
        f"or name another with --broker.",
        exit_codes.UNAVAILABLE,
    )
