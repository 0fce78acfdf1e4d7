"""A pass over a loader, and what reports from within it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from drytorch_client.sizes import LoaderSizes, sizes_of
from drytorch_schemas.events import (
    BatchProgressEvent,
    IterateBatchEvent,
    MetricEvent,
    plain_number,
)

if TYPE_CHECKING:
    from drytorch_client.actor import Actor

BatchT = TypeVar("BatchT")
#: Shortest time between two live events of one pass, seconds.
LIVE_SECONDS: Final = 0.05


class Batches(Generic[BatchT]):
    """One pass over a loader: yields its batches and reports how far it is."""

    def __init__(self, actor: Actor, loader: Iterable[BatchT]) -> None:
        """Initialize.

        Args:
            actor: who iterates.
            loader: a DataLoader, a list or any other iterable.
        """
        self._actor = actor
        self._loader = loader
        self._sizes: LoaderSizes = sizes_of(loader)
        self._pass_id = 0
        self._pid = 0
        self._done = 0
        self._due = 0.0
        self._latest: Mapping[str, Any] = {}
        self._open = False

    def __len__(self) -> int:
        if isinstance(self._loader, Sized):
            return len(self._loader)
        raise TypeError(f"{type(self._loader).__name__} has no length.")

    def __iter__(self) -> Iterator[BatchT]:
        self._start()
        try:
            for batch in self._loader:
                yield batch
                self._done += 1
                if time.monotonic() >= self._due:
                    self._report()
        finally:
            self.finish()

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Keep the latest values, for the next report.

        Args:
            metrics: values by name.
        """
        self._latest = metrics

    def finish(self) -> None:
        """Report the end of the pass, once, and only in the process that began it."""
        if self._open and self._pid == os.getpid():
            self._open = False
            self._actor.run.close_pass(self)
            self._report(final=True)

    def _start(self) -> None:
        self.finish()
        self._done, self._due, self._latest = 0, 0.0, {}
        self._pass_id = self._actor.next_pass()
        self._pid = os.getpid()
        self._open = True
        self._actor.run.open_pass(self)
        self._actor.run.emit(
            IterateBatchEvent(
                source_name=self._actor.name,
                batch_size=self._sizes.batch_size,
                n_iter=self._sizes.n_iter,
                dataset_size=self._sizes.dataset_size,
                pass_id=self._pass_id,
            )
        )

    def _report(self, *, final: bool = False) -> None:
        self._due = time.monotonic() + LIVE_SECONDS
        fields = {
            "source_name": self._actor.name,
            "pass_id": self._pass_id,
            "batches": self._done,
            "samples": self._sizes.samples(self._done),
            "final": final,
        }
        self._actor.run.emit_metrics(BatchProgressEvent, fields, self._latest)


class Reporter:
    """What a pass reports with: `batches`, `progress` and `log`.

    Attributes:
        actor: the source of the metrics.
    """

    def __init__(self, actor: Actor) -> None:
        """Initialize.

        Args:
            actor: the source of the metrics.
        """
        self.actor: Final = actor
        self._batches: Batches[Any] | None = None

    def batches(self, loader: Iterable[BatchT]) -> Batches[BatchT]:
        """Iterate over a loader's batches, reporting how far the pass is.

        Args:
            loader: a DataLoader, a list or any other iterable.
        """
        batches = Batches(self.actor, loader)
        self._batches = batches
        return batches

    def progress(self, /, **metrics: Any) -> None:
        """Show the latest values in the progress bar. Waits for no device.

        Args:
            metrics: numbers, or tensors of one element.

        Raises:
            TypeError: a value is no number.
        """
        for name, value in metrics.items():
            if type(value) is not float and type(value) is not int:
                metrics[name] = _light(name, value)
        if self._batches is not None:
            self._batches.show(metrics)

    def log(self, /, **metrics: Any) -> None:
        """Report metrics of the whole pass, at the model's epoch.

        Args:
            metrics: numbers, or tensors of one element.

        Raises:
            pydantic.ValidationError: a value is no number.
            InactiveRunError: the run is not active.
        """
        actor = self.actor
        actor.run.emit_metrics(
            MetricEvent,
            {"model_name": actor.model.name, "source_name": actor.name, "epoch": actor.model.epoch},
            metrics,
        )

    def close(self) -> None:
        """End a pass that was left unfinished."""
        if self._batches is not None:
            self._batches.finish()


def _light(name: str, value: Any) -> Any:
    """Return a value that keeps no graph alive and needs no device to be looked at."""
    detach = getattr(value, "detach", None)
    try:
        if detach is None:
            return plain_number(value)
        if value.numel() == 1:
            return detach()
        kind = f"{type(value).__name__} of more than one element"
    except TypeError as error:
        kind = str(error)
    raise TypeError(f"Metric {name!r} must be an int or a float, not {kind}.")


class Epoch(Reporter):
    """One epoch of a training.

    Attributes:
        number: number of the epoch, from 1.
        end: the last epoch of this training.
    """

    def __init__(self, actor: Actor, number: int, end: int) -> None:
        """Initialize.

        Args:
            actor: the trainer.
            number: number of the epoch.
            end: the last epoch of this training.
        """
        super().__init__(actor)
        self.number: Final = number
        self.end: Final = end

    def __repr__(self) -> str:
        return f"Epoch(number={self.number}, end={self.end})"


class Evaluation(Reporter):
    """One validation or one test."""
