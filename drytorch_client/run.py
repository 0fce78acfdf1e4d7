"""One run of an experiment: what a training reports to."""

from __future__ import annotations

import collections
import datetime
import operator
import types
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from drytorch_client import exit_status, handed_over, scope
from drytorch_client.actor import Actor
from drytorch_client.errors import (
    InactiveRunError,
    ModelNotRegisteredError,
    ModuleAlreadyRegisteredError,
    RunWarning,
)
from drytorch_client.identity import RunIdentity
from drytorch_client.model import Model
from drytorch_client.naming import NameCounter
from drytorch_client.reporting import Reporting
from drytorch_client.represent import represent_mapping
from drytorch_client.session import Session
from drytorch_client.status import SenderStatus
from drytorch_schemas.events import (
    MetricEvent,
    StartExperimentEvent,
    Status,
    UpdateExperimentEvent,
)

if TYPE_CHECKING:
    from drytorch_client.experiment import Experiment

ConfigT = TypeVar("ConfigT")


class Run(Reporting, Generic[ConfigT]):
    """One run. Made by `experiment.create_run`; used in a `with` statement.

    Attributes:
        experiment: the experiment that it belongs to.
        resumed: whether it continues an earlier run.
        record: whether it is in the registry of runs.
        created_at: when it was made, local time.
    """

    def __init__(
        self,
        experiment: Experiment[ConfigT],
        identity: RunIdentity,
        created_at: datetime.datetime,
        *,
        resumed: bool,
        record: bool,
    ) -> None:
        """Initialize.

        Args:
            experiment: the experiment that it belongs to.
            identity: names, UUID, rank and host.
            created_at: when it was made, local time.
            resumed: whether it continues an earlier run.
            record: whether it is in the registry of runs.
        """
        super().__init__(identity, experiment.par_dir)
        self.experiment: Final = experiment
        self.created_at: Final = created_at
        self.resumed: Final = resumed
        self.record: Final = record
        self._attached = False
        self._modules: dict[int, Any] = {}
        self._model_names = NameCounter()
        self._actor_names = NameCounter()
        self._steps: collections.Counter[tuple[str, str]] = collections.Counter()

    # ---- in another process

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what only this process has."""
        attached: dict[str, Any] = {"_attached": self.is_active(), "_modules": {}}
        return {**self.__dict__, **attached, "_session": None, "_open_passes": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a run that another process has started, and that this one reports to as well."""
        self.__dict__.update(state)
        if self._attached:
            scope.enter_if_none(self)

    def _require_session(self) -> Session:
        if self._session is None and self._attached:
            # at first use: most children only carry the run along
            session = Session(self.experiment.plan_of(self), self._finish_passes)
            session.attach()
            self._session = session
        return super()._require_session()

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, status={self._status!r})"

    # ---- life

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.stop("completed" if exc_type is None else "failed")

    def start(self) -> None:
        """Start the run: report it, and start its trackers.

        A run that nobody stops is stopped when the process ends: as `failed` after an error that
        nobody caught, or after `sys.exit` with another code than 0, else as `completed`.

        Raises:
            NestedScopeError: another run of this process is active.
            InactiveRunError: the run is over.
        """
        exit_status.watch()
        self._enter()

    def _enter(self) -> None:
        if self._attached:
            return
        if self._status == "running":
            warnings.warn(RunWarning(f"Run {self.id} is running already."), stacklevel=3)
            return
        if self._status != "created":
            raise InactiveRunError(
                f"Run {self.id} is over: make another one with create_run(resume=True)."
            )
        trackers = self.experiment.trackers
        declarations = handed_over.with_handed_over(trackers.declarations())
        event = self._start_event()
        scope.enter(self)
        try:
            self._session = Session(self.experiment.plan_of(self), self._finish_passes)
            self._status = "running"
            self._session.start(event, declarations, trackers.objects())
        except BaseException:
            self._status = "created"
            scope.leave(self)
            raise

    def stop(self, status: Status = "completed") -> None:
        """Stop the run, and wait at most 5 seconds until all it reported is handled.

        In a process that was given a running run by another one this only waits.

        Args:
            status: how the run ended.
        """
        if self._attached:
            self.flush()
        elif self._session is None:
            warnings.warn(RunWarning(f"Run {self.id} was not started."), stacklevel=2)
        elif self._status != "running":
            warnings.warn(RunWarning(f"Run {self.id} is over already."), stacklevel=2)
        else:
            try:
                self._session.stop(status)
            finally:
                self._status = status
                scope.leave(self)

    # ---- reports

    def register_model(self, module: Any, name: str = "", *, optimizer: Any = None) -> Model:
        """Register a module, and report it.

        Args:
            module: the PyTorch module.
            name: its name; the class's name by default. A repeated name gets `_1`, `_2` and so on.
            optimizer: its optimizer, saved and loaded with it.

        Raises:
            ModuleAlreadyRegisteredError: the module is registered already.
            InactiveRunError: the run is not active.
        """
        self.require_active()
        if id(module) in self._modules:
            raise ModuleAlreadyRegisteredError(
                f"This {type(module).__name__} is registered in run {self.id} already: "
                f"use the model that register_model returned."
            )
        given = self._model_names.give(name or type(module).__name__)
        model = Model(self, given, module, optimizer)
        model.register()
        self._modules[id(module)] = module  # kept, so that no other module gets its id
        return model

    def register_actor(self, name: str = "", *, model: Model, metadata: Any = None) -> Actor:
        """Register a source of metrics; it is reported at its first use.

        Args:
            name: its name; `Actor` by default. A repeated name gets `_1`, `_2` and so on.
            model: the model that it acts on.
            metadata: its description: a mapping or any object.

        Raises:
            ModelNotRegisteredError: the model belongs to another run.
            InactiveRunError: the run is not active.
        """
        self.require_active()
        if model.run is not self:
            raise ModelNotRegisteredError(
                f"Model {model.name} belongs to run {model.run.id}, not to run {self.id}: "
                f"register its module here."
            )
        return Actor(
            self, self._actor_names.give(name or "Actor"), model, represent_mapping(metadata)
        )

    def log(
        self,
        metrics: Mapping[str, Any],
        *,
        step: int | None = None,
        model: Model | str = "run",
        source: Actor | str = "run",
    ) -> None:
        """Report metrics of one step, with no ceremony.

        Args:
            metrics: numbers, or tensors of one element, by name.
            step: the step; by default it counts up for each source, from 0.
            model: the model, or a name.
            source: the source, or a name.

        Raises:
            pydantic.ValidationError: a value is no number.
            InactiveRunError: the run is not active.
        """
        model_name = model.name if isinstance(model, Model) else model
        source_name = source.name if isinstance(source, Actor) else source
        key = model_name, source_name
        if step is not None and not isinstance(step, int) and hasattr(step, "__index__"):
            step = operator.index(step)  # an integer of numpy
        number = self._steps[key] if step is None else step
        fields = {
            "model_name": model_name,
            "source_name": source_name,
            "epoch": model.epoch if isinstance(model, Model) else 0,
            "step": number,
        }
        if isinstance(metrics, Mapping):
            self.emit_metrics(MetricEvent, fields, metrics)
        else:
            self.emit(MetricEvent.model_validate(fields | {"metrics": metrics}))
        self._steps[key] = number + 1

    def report_update(self) -> None:
        """Report config and tags as they are now. Called by `experiment.extend`."""
        experiment = self.experiment
        self.emit(
            UpdateExperimentEvent(config=experiment.plain_config(), tags=experiment.plain_tags())
        )

    @property
    def summary(self) -> dict[str, Any]:
        """Values that are reported when the run stops."""
        return self._require_session().summary

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was reported so far is acknowledged, at most so many seconds.

        Args:
            timeout: longest wait in seconds.

        Returns:
            Whether all is acknowledged.
        """
        return self._require_session().flush(timeout)

    def status(self) -> SenderStatus:
        """Return how many events were accepted, acknowledged, spooled and dropped."""
        return self._require_session().status()

    # ---- inside

    def _start_event(self) -> StartExperimentEvent:
        experiment = self.experiment
        return StartExperimentEvent(
            config=experiment.plain_config(),
            exp_name=self.experiment_name,
            run_ts=self.created_at,
            run_id=self.id,
            resumed=self.resumed,
            par_dir=experiment.par_dir,
            tags=experiment.plain_tags(),
        )
