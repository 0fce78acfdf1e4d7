"""A module that is trained, its epoch and its checkpoints."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from drytorch_client import ranks
from drytorch_client.checkpoint import MODEL, OPTIMIZER, Checkpoints, plain_module
from drytorch_client.errors import ModuleAlreadyRegisteredError
from drytorch_client.long_text import MAX_ARCHITECTURE, without_middle
from drytorch_schemas.events import (
    LearningRateEvent,
    LoadModelEvent,
    ModelRegistrationEvent,
    SaveModelEvent,
    plain_number,
)

if TYPE_CHECKING:
    from drytorch_client.run import Run

LAST: Final = -1


class Model:
    """A module in a run. Made by `run.register_model`.

    Attributes:
        run: the run that it belongs to.
        name: its name in the run.
        module: the PyTorch module.
        optimizer: its optimizer, None without one.
        epoch: epochs trained so far.
        trainer: name of the source that trained it last; empty before.
        created_at: when it was registered, local time.
    """

    def __init__(self, run: Run[Any], name: str, module: Any, optimizer: Any = None) -> None:
        """Initialize.

        Args:
            run: the run that it belongs to.
            name: its name in the run.
            module: the PyTorch module.
            optimizer: its optimizer.
        """
        self.run: Final = run
        self.name: Final = name
        self.module: Final = module
        self.optimizer = optimizer
        self.epoch = 0
        self.trainer = ""
        self.created_at: Final = datetime.datetime.now()  # noqa: DTZ005 - DRYTorch's times are naive local ones
        self._modules: dict[str, Any] = {MODEL: module}

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, epoch={self.epoch})"

    @property
    def checkpoints(self) -> Checkpoints:
        """Where the model's checkpoints lie."""
        return Checkpoints(self.run.folder("checkpoints"), self.name)

    def bind_module(self, name: str, module: Any) -> None:
        """Save and load another module with the model's own, such as a moving average of it.

        Args:
            name: its name in the checkpoint: its file is `<name>_state.pt`.
            module: the module.

        Raises:
            ModuleAlreadyRegisteredError: the name is taken, also by the model or its optimizer.
        """
        if name in self._modules or name == OPTIMIZER:
            raise ModuleAlreadyRegisteredError(
                f"Model {self.name} saves something else as {name} already: choose another name."
            )
        self._modules[name] = module

    def save(self) -> None:
        """Save weights, and the optimizer's state where there is one; then report it.

        Raises:
            CheckpointError: the files cannot be written.
            InactiveRunError: the run is not active.
        """
        self.run.require_active()
        if self.run.is_secondary:  # DRYTorch's rule: rank 0 saves
            return
        location = self.checkpoints.save(self.epoch, self._modules, self.optimizer)
        self.run.emit(SaveModelEvent(location=str(location), **self._described()))

    def load(self, epoch: int = LAST) -> None:
        """Load weights, and the optimizer's state where there is one; then report it.

        Where a process group is initialised all its processes must call this: they wait for one
        another first, so that all load the same checkpoint.

        Args:
            epoch: the epoch at which it was saved; the last one saved by default.

        Raises:
            ModelNotFoundError: the model has no checkpoint in this run.
            EpochNotFoundError: it has none of this epoch.
            CheckpointError: the files cannot be read.
            InactiveRunError: the run is not active.
        """
        self.run.require_active()
        ranks.wait_for_all(_device_index(self.module))
        found = self.checkpoints.last_epoch() if epoch == LAST else epoch
        location = self.checkpoints.load(found, self._modules, self.optimizer)
        self.epoch = found
        self.run.emit(LoadModelEvent(location=str(location), **self._described()))

    def update_learning_rate(
        self,
        base_lr: float | Mapping[str, float] | None = None,
        *,
        scheduler_name: str | None = None,
        source: str = "",
    ) -> None:
        """Report a new learning rate; the optimizer stays as it is.

        Args:
            base_lr: the new value, or values by parameter group.
            scheduler_name: how the scheduler is called.
            source: who updated it; the source that trained the model last by default.

        Raises:
            pydantic.ValidationError: a value is of a wrong type.
            InactiveRunError: the run is not active.
        """
        rates: float | dict[str, float] | None
        if isinstance(base_lr, Mapping):
            rates = {str(name): float(plain_number(rate)) for name, rate in base_lr.items()}
        else:
            rates = None if base_lr is None else float(plain_number(base_lr))
        self.run.emit(
            LearningRateEvent(
                model_name=self.name,
                source_name=source or self.trainer or self.name,
                epoch=self.epoch,
                base_lr=rates,
                scheduler_name=scheduler_name,
            )
        )

    def register(self) -> None:
        """Report the model itself."""
        self.run.emit(
            ModelRegistrationEvent(
                model_name=self.name,
                model_ts=self.created_at,
                architecture_repr=_architecture(plain_module(self.module)),
            )
        )

    def _described(self) -> dict[str, Any]:
        definition = "state" if self.optimizer is None else "checkpoint"
        return {"model_name": self.name, "definition": definition, "epoch": self.epoch}


def _device_index(module: Any) -> int | None:
    device = next((each.device for each in module.parameters()), None)
    index: int | None = getattr(device, "index", None)
    return index


def _architecture(module: Any) -> str:
    """Return the module's repr, not too long for an event; its class's name where that raises."""
    try:
        return without_middle(repr(module), MAX_ARCHITECTURE)
    except Exception:  # noqa: BLE001 - users' modules may raise anything when they are looked at
        return type(module).__name__
