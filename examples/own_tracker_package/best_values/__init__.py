"""A tracker that keeps the best value of a metric, in one JSON file for each run."""

import json
from pathlib import Path
from typing import Any, Literal

from drytorch_schemas import events
from drytorch_trackers import Tracker

Best = dict[str, Any]


class BestValues(Tracker):
    """Keeps, for each source of a run, the best value of a metric and its epoch."""

    kinds = frozenset({"Metric"})  # nothing else is fetched

    def __init__(self, metric: str = "loss", mode: Literal["min", "max"] = "min") -> None:
        """Initialize. Runs in the training process too, so nothing is opened here.

        Args:
            metric: name of the metric.
            mode: whether the smallest or the largest value is the best.
        """
        self.metric = metric
        self.mode = mode
        self._runs: dict[str, Best] = {}
        self._changed: set[str] = set()

    def on_metric(self, event: events.MetricEvent) -> None:
        """Compare. An event that comes a second time, after a crash, changes nothing."""
        value = event.metrics.get(self.metric)
        if value is None or event.step is not None:
            return
        best = self._best_of(self.run)
        known = best["sources"].get(event.source_name)
        if known is None or self._is_better(value, known["value"]):
            best["sources"][event.source_name] = {"value": value, "epoch": event.epoch}
            self._changed.add(self.run)

    def flush(self) -> None:
        """Write what has changed; what was handled before must be safe when this returns."""
        for run in self._changed:
            path = self._path(run)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(self._runs[run], indent=2) + "\n", encoding="utf-8")
            part.replace(path)  # whole or not at all, whoever is killed when
        self._changed.clear()

    def clean_up(self) -> None:
        """Forget the runs that were met."""
        self.flush()
        self._runs.clear()

    def _best_of(self, run: str) -> Best:
        """Return what is known of a run, also by the worker that was here before."""
        if run not in self._runs:
            origin = self.delivery.envelope.origin
            path = self._path(run)
            self._runs[run] = (
                json.loads(path.read_text(encoding="utf-8"))
                if path.exists()
                else {"experiment": origin.experiment, "run": origin.run_id, "sources": {}}
            )
        return self._runs[run]

    def _is_better(self, value: float, known: float) -> bool:
        return value < known if self.mode == "min" else value > known

    def _path(self, run: str) -> Path:
        # by UUID: two runs may have one name, and a name may be no file's name
        return self.context.par_dir / "best_values" / f"{run}.json"
