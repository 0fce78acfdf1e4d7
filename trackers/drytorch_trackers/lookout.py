"""Looks ahead in the journal for a watchdog: are the runs over, though a tracker hangs?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.envelope import check
from drytorch_schemas.packing import unpack
from drytorch_schemas.topics import TopicFilter

_TIMEOUT: Final = 1.0
_KINDS: Final = ["StartExperiment", "StopExperiment", "RunLost", "RunFound"]
_ENDS: Final = frozenset({"StopExperiment", "RunLost"})


class Lookout:
    """Asks the broker on a channel of its own: the loop's channel belongs to another thread."""

    def __init__(self, url: str, wanted: TopicFilter) -> None:
        """Initialize.

        Args:
            url: the broker's URL.
            wanted: the worker's filter.
        """
        self._endpoint = Endpoint.from_url(url)
        self._filter = control.Filter.wired(wanted).model_copy(update={"kinds": _KINDS})

    def runs_over(self, position: int, open_runs: Iterable[str]) -> bool | None:
        """Tell whether all runs are over in the journal; None where no broker answers.

        Args:
            position: how far the worker is.
            open_runs: runs that are not over there.
        """
        channel = ControlChannel(self._endpoint)
        still = set(open_runs)
        try:
            while True:
                request = control.Fetch(start=position, filters=[self._filter])
                answer = channel.request(request, _TIMEOUT)
                if not isinstance(answer, control.Records):
                    return None
                for _, payload in answer.records:
                    wire = check(unpack(payload))
                    (still.discard if wire["kind"] in _ENDS else still.add)(wire["run"])
                if answer.covered_to >= answer.head or answer.covered_to <= position:
                    return not still
                position = answer.covered_to
        except BrokerAwayError:
            return None
        finally:
            channel.close()
