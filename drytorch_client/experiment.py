"""An experiment: its name, its configuration, its folder and its trackers."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import socket
import uuid
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from drytorch_client import naming, ranks, scope
from drytorch_client.config import DISABLED, ClientConfig
from drytorch_client.defaults import default_trackers
from drytorch_client.errors import (
    NoActiveExperimentError,
    RanksWarning,
    ResumeWarning,
    RunAlreadyRecordedError,
)
from drytorch_client.identity import RunIdentity
from drytorch_client.in_memory import InMemory
from drytorch_client.ranks import check as check_ranks
from drytorch_client.redaction import hide_in_repr, hide_url_password
from drytorch_client.registry import RunRegistry
from drytorch_client.represent import CONFIG_DEPTH, represent
from drytorch_client.run import Run
from drytorch_client.session import Plan
from drytorch_client.subscriptions import Subscriptions

ConfigT = TypeVar("ConfigT")
_APART: Final = (
    "Rank {rank} reports run {run}, which is not the other ranks': initialise torch.distributed "
    "before create_run."
)


class Experiment(Generic[ConfigT]):
    """An experiment. Its runs report to the trackers that are subscribed to it.

    Attributes:
        name: its name; a repeated name gets `_1`, `_2` and so on within the process.
        config: its configuration, any object.
        par_dir: its parent folder, absolute.
        tags: descriptors of its variation.
        trackers: the subscribed trackers.
    """

    _names: ClassVar[naming.NameCounter] = naming.NameCounter()

    def __init__(
        self,
        config: ConfigT,
        *,
        name: str = "",
        par_dir: str | pathlib.Path = "",
        tags: Iterable[str] | None = None,
        broker: str | None = None,
        ranks: ranks.Ranks = "0",
        **options: Any,
    ) -> None:
        """Initialize.

        Args:
            config: the configuration, any object.
            name: the name; the class's name by default.
            par_dir: the parent folder; the current folder by default.
            tags: descriptors of its variation, for example `lr=0.01`.
            broker: URL of the broker, or `disabled`; DRYTORCH_BROKER by default, else a local one.
            ranks: which processes of a distributed training report: `0` or `all`.
            options: other options of the client, see `ClientConfig`.

        Raises:
            InvalidNameError: the name is too long or has a character that is not allowed.
            InvalidModeError: DRYTORCH_INIT_MODE names no mode of default trackers.
            ClientError: an option of the client is wrong.
        """
        wanted = name or type(self).__name__
        naming.check_name(wanted, "experiment")
        self._client = ClientConfig.from_environment(broker, **options)
        defaults = default_trackers()
        self.name: Final = self._names.give(wanted)
        self.config: Final = config
        memory = InMemory.active()
        given = memory.folder if memory is not None and not str(par_dir) else par_dir
        self.par_dir: Final = pathlib.Path(given).absolute()
        self.tags: Final = [str(tag) for tag in tags or ()]
        self.trackers: Final = Subscriptions(self.name, defaults)
        self._registry: Final = RunRegistry(self.par_dir, self.name)
        check_ranks(ranks)
        self._ranks = ranks
        self._runs = 0
        self._extra: dict[str, Any] = {}
        self._unrecorded: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the trackers behind: they work for the process that subscribed them."""
        state = {name: value for name, value in self.__dict__.items() if name != "trackers"}
        if InMemory.active() is not None:  # no other process can report into this one's memory
            state["_client"] = dataclasses.replace(self._client, broker=DISABLED)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become the same experiment in another process, without trackers."""
        self.__dict__.update(state, trackers=Subscriptions(state["name"], {}))

    # ---- the active one

    @classmethod
    def get_current(cls) -> Self:
        """Return the experiment whose run is active.

        Raises:
            NoActiveExperimentError: there is none, or none of this class.
        """
        run = scope.current_run()
        if run is None or not isinstance(run.experiment, cls):
            kind = "" if cls is Experiment else f" of class {cls.__name__}"
            raise NoActiveExperimentError(
                f"No run of an experiment{kind} is active: start one with create_run()."
            )
        return run.experiment

    @classmethod
    def get_config(cls) -> ConfigT:
        """Return the configuration of the experiment whose run is active.

        Raises:
            NoActiveExperimentError: there is none.
        """
        return cls.get_current().config

    @property
    def run(self) -> Run[ConfigT]:
        """The active run of this experiment.

        Raises:
            NoActiveExperimentError: there is none.
        """
        run = scope.current_run()
        if run is None or run.experiment is not self:
            raise NoActiveExperimentError(
                f"No run of experiment {self.name} is active: start one with create_run()."
            )
        return run

    # ---- runs

    @property
    def registry(self) -> RunRegistry:
        """The registry of its runs."""
        memory = InMemory.active()
        return self._registry if memory is None else memory.registry(self.par_dir, self.name)

    def create_run(
        self, *, run_id: str | None = None, resume: bool = False, record: bool = True
    ) -> Run[ConfigT]:
        """Make a run, to be used in a `with` statement.

        Args:
            run_id: its identifier; made of the local time by default.
            resume: continue the run of this id, or the experiment's last one.
            record: keep the run in the registry.

        Raises:
            InvalidNameError: the id is too long or has a character that is not allowed.
            RunAlreadyRecordedError: there is a run of this id, and `resume` is not set.
            RegistryError: the registry of runs cannot be read or written.
            FirstRankError: one of these was raised in rank 0, and this is another one.
        """
        if run_id is not None:
            naming.check_name(run_id, "run")
        rank = ranks.current_rank()
        created = datetime.datetime.now()  # noqa: DTZ005 - DRYTorch's times are naive local ones

        def chosen() -> list[Any]:
            found = self._resumed(run_id) if resume else None
            return list(found or self._new(run_id, created, record=record and rank == 0))

        self._runs += 1
        key = f"drytorch/{self.name}/{self._runs}"
        given, run_uuid, resumed = ranks.from_first_rank(key, chosen)
        if rank and self._ranks == "all" and not ranks.is_distributed():
            warnings.warn(RanksWarning(_APART.format(rank=rank, run=given)), stacklevel=2)
        identity = RunIdentity(self.name, given, run_uuid, rank, socket.gethostname())
        return Run(self, identity, created, resumed=resumed, record=record and rank == 0)

    def extend(self, config: Mapping[str, Any] | None = None, tags: Iterable[str] = ()) -> None:
        """Add to config and tags, also while a run is active.

        Args:
            config: entries that are reported beside the configuration's own.
            tags: more descriptors.
        """
        self._extra.update(config or {})
        self.tags.extend(str(tag) for tag in tags)
        run = scope.current_run()
        if run is not None and run.experiment is self:
            run.report_update()

    def plain_config(self) -> Any:
        """Return the configuration as plain data, with what `extend` added."""
        plain = represent(self.config, CONFIG_DEPTH)
        if not self._extra:
            return plain
        extra = represent(self._extra, CONFIG_DEPTH)
        return {**plain, **extra} if isinstance(plain, dict) else {"config": plain, **extra}

    def plain_tags(self) -> list[str]:
        """Return the tags with secrets hidden."""
        return [hide_in_repr(hide_url_password(tag)) for tag in self.tags]

    def plan_of(self, run: Run[ConfigT]) -> Plan:
        """Return what a session needs to know of a run.

        Args:
            run: a run of this experiment.
        """
        muted = run.is_secondary and self._ranks == "0"
        client = self._client
        if InMemory.active() is not None:
            client = dataclasses.replace(client, broker="")
        return Plan(
            identity=run.identity,
            par_dir=self.par_dir,
            registry=self.registry if run.record else None,
            config=client,
            silent=muted or client.disabled,
            resumed=run.resumed,
        )

    # ---- inside

    def _new(
        self, run_id: str | None, created: datetime.datetime, *, record: bool
    ) -> tuple[str, str, bool]:
        suffix = str if ranks.is_distributed() else naming.with_process
        if not record:
            given = suffix(run_id or naming.default_run_id(created))
            self._unrecorded[given] = uuid.uuid4().hex
            return given, self._unrecorded[given], False
        reserved = self.registry.reserve(run_id, created, suffix)
        if reserved is None:
            raise RunAlreadyRecordedError(
                f"Experiment {self.name} has a run {run_id} already: choose another id, or "
                f"continue it with create_run(run_id={run_id!r}, resume=True)."
            )
        return reserved, self.registry.run_uuid(reserved, resumed=False), False

    def _resumed(self, run_id: str | None) -> tuple[str, str, bool] | None:
        """Return the run to continue, None where there is none."""
        known = [*self.registry.ids(), *self._unrecorded]
        if not known:
            message = f"Experiment {self.name} has no run to resume: a new one is made."
        elif run_id is not None and run_id not in known:
            message = f"Experiment {self.name} has no run {run_id} to resume: a new one is made."
        else:
            given = known[-1] if run_id is None else run_id
            run_uuid = self._unrecorded.get(given) or self.registry.run_uuid(given, resumed=True)
            return given, run_uuid, True
        warnings.warn(ResumeWarning(message), stacklevel=5)  # the line that calls create_run
        return None
