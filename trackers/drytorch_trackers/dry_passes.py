"""Passes over a loader: from DRYTorch's callbacks to progress events, which are data."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from drytorch_client.epoch import LIVE_SECONDS
from drytorch_client.forwarding import ForwardedRun
from drytorch_schemas.events import BatchProgressEvent, IterateBatchEvent
from drytorch_trackers.dry_events import numbers, whole

#: What DRYTorch calls after each batch: latest values, and how many processes did one.
Update = Callable[[Mapping[str, Any], int], None]


class DryPasses:
    """The passes of one run; at most one per source is open."""

    def __init__(self, run: ForwardedRun) -> None:
        """Initialize.

        Args:
            run: the run that is reported to.
        """
        self._run: Final = run
        self._open: dict[str, _Pass] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    def begin(self, event: Any) -> Update:
        """Report that a pass begins, and return what is to be called after each of its batches.

        Args:
            event: DRYTorch's `IterateBatchEvent`.
        """
        source = str(event.source_name)
        self.finish(source)
        self._counts[source] += 1
        begun = IterateBatchEvent(
            source_name=source,
            batch_size=whole(event.batch_size),
            n_iter=whole(event.n_iter),
            dataset_size=whole(event.dataset_size),
            pass_id=self._counts[source],
        )
        self._run.emit(begun)
        self._open[source] = _Pass(self._run, begun)
        return self._open[source].update

    def finish(self, source: str) -> None:
        """Report the end of a source's pass, where it was left unfinished.

        Args:
            source: name of the source.
        """
        left = self._open.pop(source, None)
        if left is not None:
            left.finish()

    def finish_all(self) -> None:
        """Report the end of all passes that were left unfinished."""
        for source in list(self._open):
            self.finish(source)


class _Pass:
    """One pass: counts batches as DRYTorch's own bar does, and reports at a bounded rate."""

    def __init__(self, run: ForwardedRun, begun: IterateBatchEvent) -> None:
        self._run = run
        self._begun = begun
        self._pid = os.getpid()
        self._batches = 0
        self._samples = 0
        self._due = 0.0
        self._latest: Mapping[str, Any] = {}
        self._over = False

    def update(self, metrics: Mapping[str, Any], n_processes: int = 1) -> None:
        """Count a batch of each process. Called in the training loop."""
        if self._over:
            return
        begun = self._begun
        last = begun.n_iter is not None and self._batches >= begun.n_iter - n_processes
        self._batches += n_processes
        self._latest = metrics
        if begun.batch_size is not None:
            self._samples += begun.batch_size * n_processes
            if last and begun.dataset_size is not None:
                self._samples = min(self._samples, begun.dataset_size)
        if last:
            self.finish()
        elif time.monotonic() >= self._due:
            self._report()

    def finish(self) -> None:
        """Report the end, once, and only in the process that began the pass.

        Of a pass that no batch was done of there is nothing to say, as in DRYTorch.
        """
        if not self._over and self._pid == os.getpid():
            self._over = True
            if self._batches:
                self._report(final=True)

    def _report(self, *, final: bool = False) -> None:
        self._due = time.monotonic() + LIVE_SECONDS
        fields = {
            "source_name": self._begun.source_name,
            "pass_id": self._begun.pass_id,
            "batches": self._batches,
            "samples": None if self._begun.batch_size is None else self._samples,
            "final": final,
        }
        self._run.emit_metrics(BatchProgressEvent, fields, numbers(self._latest))
