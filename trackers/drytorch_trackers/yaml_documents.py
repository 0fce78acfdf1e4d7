"""Which YAML file of a run's folder an event gives, and what is in it.

| event | file | content |
|---|---|---|
| start of a run | `config_<run's time>.yaml` | the configuration |
| registration of a model | `<model>_<its time>/architecture.yaml` | its representation |
| registration of a source | `<model>_<its time>/<source>_<its time>.yaml` | its metadata |
| `experiment.extend` | `extended_<run's time>.yaml` | configuration and tags as they are then |
| end of a run, with a summary | `summary_<run's time>.yaml` | `run.summary` |

The last two are not DRYTorch's. A process of another rank than 0 has a folder `rank_<n>` in the
run's.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from drytorch_schemas import events
from drytorch_schemas.envelope import Origin
from drytorch_trackers.base import Delivery
from drytorch_trackers.file_names import escape
from drytorch_trackers.yaml_format import Literal, shown

#: The kinds of events that may give a file.
KINDS: Final = frozenset(
    {
        "StartExperiment",
        "UpdateExperiment",
        "StopExperiment",
        "ModelRegistration",
        "ActorRegistration",
    }
)
#: What a file is called while it is written; the name must leave room for it.
ROOM: Final = ".new"
_TIME: Final = "_%Y-%m-%d@%Hh%Mm%Ss"  # DRYTorch's, local time
_SUFFIX: Final = ".yaml"
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file.

    Attributes:
        path: relative to the run's folder.
        value: its content, see `yaml_format.shown`.
    """

    path: PurePath
    value: Any


class Documents:
    """Knows the files of events; the times of runs that started are remembered for later ones."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, str], datetime.datetime] = {}

    def of(self, delivery: Delivery) -> Document | None:
        """Return the file that an event gives, None where it gives none.

        Args:
            delivery: the event.

        Raises:
            UnsafeNameError: a name cannot name a file.
        """
        event, origin = delivery.event, delivery.envelope.origin
        found = self._of_run(event, origin) or _of_object(event)
        if found is None or origin.rank == 0:
            return found
        return Document(PurePath(f"rank_{origin.rank}", found.path), found.value)

    def _of_run(self, event: events.Event, origin: Origin) -> Document | None:
        if isinstance(event, events.StartExperimentEvent):
            self._remember(origin, event.run_ts)
            return Document(self._name("config", origin), shown(event.config))
        if isinstance(event, events.UpdateExperimentEvent):
            value = {"config": shown(event.config), "tags": list(event.tags)}
            return Document(self._name("extended", origin), value)
        if isinstance(event, events.StopExperimentEvent) and event.summary:
            return Document(self._name("summary", origin), shown(event.summary))
        return None

    def _remember(self, origin: Origin, started: datetime.datetime) -> None:
        for key in ((origin.run, origin.producer), (origin.run, "")):
            self._starts.pop(key, None)  # so that it counts as new
            self._starts[key] = started
        while len(self._starts) > _REMEMBERED:
            del self._starts[next(iter(self._starts))]

    def _name(self, name: str, origin: Origin) -> PurePath:
        """Return a file's name with the time of the start that an event belongs to."""
        # another process of the run has no start of its own; of a torn journal nothing is known
        latest = self._starts.get((origin.run, ""))
        started = self._starts.get((origin.run, origin.producer), latest)
        return PurePath(name + _stamp(started) + _SUFFIX)


def _of_object(event: events.Event) -> Document | None:
    if isinstance(event, events.ModelRegistrationEvent):
        folder = escape(event.model_name, _stamp(event.model_ts))
        return Document(PurePath(folder, "architecture.yaml"), Literal(event.architecture_repr))
    if isinstance(event, events.ActorRegistrationEvent):
        folder = escape(event.model_name, _stamp(event.model_ts))
        name = escape(event.actor_name, _stamp(event.actor_ts) + _SUFFIX + ROOM)
        return Document(PurePath(folder, name.removesuffix(ROOM)), shown(event.metadata))
    return None


def _stamp(time: datetime.datetime | None) -> str:
    return "" if time is None else time.strftime(_TIME)
