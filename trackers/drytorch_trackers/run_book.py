"""Which runs a worker has met: whether they are over, and which of their context it had already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drytorch_schemas.envelope import Envelope
from drytorch_schemas.events import CONTEXT_KINDS, RunLostEvent
from drytorch_schemas.packing import pack

_ENDS: Final = frozenset({"StopExperiment", "RunLost"})
_BEGINS: Final = frozenset({"StartExperiment", "RunFound"})
#: Kinds that a worker needs for its own book, whatever its trackers want.
BOOK_KINDS: Final = CONTEXT_KINDS | _ENDS | _BEGINS
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class RunState:
    """What is known of one run.

    Attributes:
        experiment: name of the experiment.
        run_id: identifier of the run.
        complete: whether its past was given as far as it is needed.
        over: whether the run stopped or is lost.
        lost: whether it is over because its producer was said to be gone.
        producer: who started it last.
        context: digests of the context events that were given.
    """

    experiment: str
    run_id: str
    complete: bool = False
    over: bool = False
    lost: bool = False
    producer: str = ""
    context: set[bytes] = field(default_factory=set)


class RunBook:
    """The runs that a worker has met; of those that are over the latest ten thousand.

    Attributes:
        met: how many runs were met.
    """

    def __init__(self) -> None:
        self._runs: dict[str, RunState] = {}
        self._open = 0
        self.met = 0

    def __contains__(self, run: str) -> bool:
        """Tell whether a run was met, and its past given."""
        state = self._runs.get(run)
        return state is not None and state.complete

    def complete(self, run: str) -> None:
        """Note that a run's past was given as far as it is needed."""
        if run in self._runs:
            self._runs[run].complete = True

    def note(self, envelope: Envelope, *, complete: bool = True) -> None:
        """Note an event of a run.

        Args:
            envelope: the event.
            complete: whether nothing of the run's past is missing.
        """
        origin, kind = envelope.origin, envelope.kind
        state = self._runs.get(origin.run)
        if state is None:
            state = self._runs[origin.run] = RunState(origin.experiment, origin.run_id)
            self._open += 1
            self.met += 1
        state.complete = state.complete or complete
        if kind == "StartExperiment":
            state.producer = origin.producer
        if kind in _ENDS and state.over:
            state.lost = state.lost and kind == "RunLost"
        elif kind in _ENDS and not self._is_stale(state, envelope):
            state.lost = kind == "RunLost"
            state.over = True
            self._open -= 1
            self._forget_some()
        elif kind in _BEGINS and state.over and not envelope.again:
            state.over = False
            self._open += 1

    def is_new(self, envelope: Envelope, fields: Mapping[str, Any]) -> bool:
        """Tell whether a context event says something that was not given before, and note it.

        Args:
            envelope: the event, of a run that `note` has met.
            fields: its fields as they travelled.
        """
        if envelope.kind not in CONTEXT_KINDS:
            return True
        said = pack([envelope.kind, dict(fields)])
        digest = hashlib.blake2b(said, digest_size=16).digest()
        given = self._runs[envelope.origin.run].context
        if digest in given:
            return False
        given.add(digest)
        return True

    @property
    def all_over(self) -> bool:
        """Whether at least one run was met, and all that were met are over."""
        return self.met > 0 and self._open == 0

    @property
    def lost_producers(self) -> set[str]:
        """Producers of the runs that are over because these were said to be gone."""
        return {state.producer for state in self._runs.values() if state.over and state.lost}

    @property
    def open_runs(self) -> list[str]:
        """UUIDs of the runs that are not over."""
        return [run for run, state in self._runs.items() if not state.over]

    @staticmethod
    def _is_stale(state: RunState, envelope: Envelope) -> bool:
        """Tell whether it is an earlier start of a resumed run that is lost, not this one."""
        if not isinstance(envelope.event, RunLostEvent) or not state.producer:
            return False
        return envelope.event.producer != state.producer

    def _forget_some(self) -> None:
        if len(self._runs) - self._open <= _REMEMBERED:
            return
        oldest = next(run for run, state in self._runs.items() if state.over)
        del self._runs[oldest]
