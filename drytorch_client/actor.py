"""Sources of metrics: trainers, validations, tests."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from drytorch_client.epoch import Epoch, Evaluation
from drytorch_client.errors import EpochsError, TrainingWarning
from drytorch_schemas.events import (
    ActorRegistrationEvent,
    EndEpochEvent,
    EndTestEvent,
    EndTrainingEvent,
    StartEpochEvent,
    StartTestEvent,
    StartTrainingEvent,
    TerminatedTrainingEvent,
)

if TYPE_CHECKING:
    from drytorch_client.model import Model
    from drytorch_client.run import Run


class Actor:
    """Something that acts on a model and reports metrics. Made by `run.register_actor`.

    Attributes:
        run: the run that it belongs to.
        name: its name in the run.
        model: the model that it acts on.
        metadata: its description as plain data.
        created_at: when it was made, local time.
    """

    def __init__(self, run: Run[Any], name: str, model: Model, metadata: dict[str, Any]) -> None:
        """Initialize.

        Args:
            run: the run that it belongs to.
            name: its name in the run.
            model: the model that it acts on.
            metadata: its description as plain data.
        """
        self.run: Final = run
        self.name: Final = name
        self.model: Final = model
        self.metadata: Final = metadata
        self.created_at: Final = datetime.datetime.now()  # noqa: DTZ005 - DRYTorch's times are naive local ones
        self._registered = False
        self._passes = 0
        self._terminated = False

    def __repr__(self) -> str:
        return f"Actor(name={self.name!r}, model={self.model.name!r})"

    @property
    def terminated(self) -> bool:
        """Whether the training was terminated early."""
        return self._terminated

    def training(self, n_epochs: int | None = None, *, until: int | None = None) -> Iterator[Epoch]:
        """Iterate over epochs. Give one of the two numbers.

        Args:
            n_epochs: so many more epochs.
            until: train up to this epoch, counted over all trainings of the model.

        Yields:
            The epochs.

        Raises:
            EpochsError: none or both of the numbers are given, or one is negative.
            InactiveRunError: the run is not active.
        """
        end = self._end_epoch(n_epochs, until)
        if self._terminated:
            self._warn(f"Training by {self.name} was terminated: no further epochs are trained.")
        elif end is not None:
            yield from self._epochs(end)

    @contextlib.contextmanager
    def validation(self) -> Iterator[Evaluation]:
        """Report a validation pass within `with`.

        Raises:
            InactiveRunError: the run is not active.
        """
        self.register()
        evaluation = Evaluation(self)
        try:
            yield evaluation
        finally:
            evaluation.close()

    @contextlib.contextmanager
    def testing(self) -> Iterator[Evaluation]:
        """Report a test pass within `with`; a test that raises has no end.

        Raises:
            InactiveRunError: the run is not active.
        """
        self.run.emit(StartTestEvent(source_name=self.name, model_name=self.model.name))
        with self.validation() as evaluation:
            yield evaluation
        self.run.emit(EndTestEvent(source_name=self.name, model_name=self.model.name))

    def terminate(self, reason: str) -> None:
        """End the training after the current epoch.

        Args:
            reason: why.

        Raises:
            InactiveRunError: the run is not active.
        """
        self._terminated = True
        self.run.emit(
            TerminatedTrainingEvent(
                source_name=self.name,
                model_name=self.model.name,
                epoch=self.model.epoch,
                reason=str(reason),
            )
        )

    def next_pass(self) -> int:
        """Return the number of the pass that begins, from 1."""
        self.register()
        self._passes += 1
        return self._passes

    def register(self) -> None:
        """Report the actor itself, at its first use in the run."""
        if self._registered:
            return
        self.run.emit(
            ActorRegistrationEvent(
                actor_name=self.name,
                actor_ts=self.created_at,
                model_name=self.model.name,
                model_ts=self.model.created_at,
                metadata=self.metadata,
            )
        )
        self._registered = True

    def _end_epoch(self, n_epochs: int | None, until: int | None) -> int | None:
        """Return the last epoch to train, None where there is nothing to do."""
        given = [number for number in (n_epochs, until) if number is not None]
        if len(given) != 1 or given[0] < 0:
            raise EpochsError(
                f"training of {self.name} needs n_epochs or until, one of them and not negative: "
                f"got n_epochs={n_epochs}, until={until}."
            )
        if until is None:
            return self.model.epoch + given[0]
        if until < self.model.epoch:
            self._warn(
                f"Model {self.model.name} was trained for {self.model.epoch} epochs already: "
                f"training until {until} does nothing."
            )
        return until if until > self.model.epoch else None

    def _epochs(self, end: int) -> Iterator[Epoch]:
        name, model = self.name, self.model
        self.run.emit(
            StartTrainingEvent(
                source_name=name, model_name=model.name, start_epoch=model.epoch, end_epoch=end
            )
        )
        model.trainer = name
        while model.epoch < end and not self._terminated:
            epoch = self._start_epoch(end)
            ended = EndEpochEvent(source_name=name, model_name=model.name, epoch=epoch.number)
            try:
                yield epoch
            except GeneratorExit:
                # by `break` or by an error: what comes next in this run tells
                epoch.close()
                self.run.hold([ended, EndTrainingEvent(source_name=name)])
                raise
            epoch.close()
            self.run.emit(ended)
        self.run.emit(EndTrainingEvent(source_name=name))

    def _start_epoch(self, end: int) -> Epoch:
        number = self.model.epoch + 1
        self.run.emit(
            StartEpochEvent(
                source_name=self.name, model_name=self.model.name, epoch=number, end_epoch=end
            )
        )
        self.model.epoch = number
        self.register()
        return Epoch(self, number, end)

    def _warn(self, message: str) -> None:
        warnings.warn(TrainingWarning(message), stacklevel=3)
