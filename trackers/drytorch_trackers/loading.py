"""The base class of trackers that can give back the metrics they stored."""

from __future__ import annotations

import abc

from drytorch_trackers.base import Tracker

#: Epochs, and for each metric its values at these epochs.
HistoryMetrics = tuple[list[int], dict[str, list[float]]]
#: The same by source.
SourcedMetrics = dict[str, HistoryMetrics]


class MetricLoader(Tracker, abc.ABC):
    """A tracker that loads metrics of the current run: in a worker, or where it was subscribed."""

    def load_metrics(self, model_name: str, max_epoch: int = -1) -> SourcedMetrics:
        """Return the metrics of a model; only the last pass where epochs were logged again.

        Args:
            model_name: name of the model.
            max_epoch: leave out later epochs; -1 for none.

        Returns:
            Epochs and values of the metrics by source.

        Raises:
            ValueError: `max_epoch` is less than -1.
            TrackerError: there is no current run, or it has nothing of the model: in files where it
                is resumed, in a database always.
        """
        if max_epoch < -1:
            raise ValueError(
                f"max_epoch is {max_epoch}: use -1 for all epochs, or a number from 0."
            )
        if max_epoch == 0:
            return {}
        if self.current is not None and self.current.wait is not None:
            self.current.wait(self)
        return self._load_metrics(model_name, max_epoch)

    @abc.abstractmethod
    def _load_metrics(self, model_name: str, max_epoch: int = -1) -> SourcedMetrics:
        """Return the metrics of a model, all epochs where `max_epoch` is -1."""
