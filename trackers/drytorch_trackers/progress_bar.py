"""The tracker that draws progress bars: one per pass over a loader, and one for the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from tqdm import tqdm

from drytorch_client.notebook import has_widgets
from drytorch_schemas import events
from drytorch_trackers import terminal
from drytorch_trackers.base import Delivery, Tracker, TrackerContext
from drytorch_trackers.terminal import StreamName, printable

_SOURCE_WIDTH: Final = 15


class EpochBar:
    """The bar of one pass over a loader.

    Attributes:
        fmt: layout of the bar.
        seen_str: what batches consist of.
        color: colour of the bar.
        pass_id: the pass that the bar belongs to.
        open: whether it is still drawn.
    """

    fmt: Final = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {elapsed}<{remaining}{postfix}"
    seen_str: Final = "Samples"
    color: Final = "green"

    def __init__(
        self, event: events.IterateBatchEvent, *, leave: bool, file: TextIO, position: int
    ) -> None:
        """Draw the bar at 0 %.

        Args:
            event: the pass that starts.
            leave: whether the bar stays when the pass is over.
            file: stream to draw on.
            position: lines below the first one.
        """
        self.pass_id = event.pass_id
        self._n_iter = event.n_iter
        self._dataset_size = event.dataset_size
        self._bar: tqdm[Any] = tqdm(
            total=event.n_iter,
            leave=leave,
            file=file,
            desc=printable(event.source_name).rjust(_SOURCE_WIDTH),
            bar_format=self.fmt,
            colour=self.color,
            position=position,
        )
        self.open = True

    def update(self, event: events.BatchProgressEvent) -> None:
        """Draw how far the pass is; what is older than drawn, or of another pass, is ignored.

        Args:
            event: batches and samples so far, and the latest values.
        """
        if not self.open or event.pass_id != self.pass_id or event.batches < self._bar.n:
            return  # as many batches as before may bring newer values: of ranks that are joined
        complete = self._n_iter is not None and event.batches >= self._n_iter
        shown: dict[str, int | str] = {self.seen_str: self._seen(event.samples, complete=complete)}
        shown |= {printable(name): f"{value:.3e}" for name, value in event.metrics.items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(event.batches - self._bar.n)
        if complete or event.final:
            self.close()

    def close(self) -> None:
        """Draw the last state, and leave or clear the line."""
        if self.open:
            self.open = False
            self._bar.close()

    def _seen(self, samples: int | None, *, complete: bool) -> int | str:
        if samples is None:
            return "?"
        if complete and self._dataset_size is not None:
            # the last batch may be smaller than the others
            return min(samples, self._dataset_size)
        return samples


class TrainingBar:
    """The bar of a training's epochs.

    Attributes:
        fmt: layout of the bar.
        desc: what is counted.
        color: colour of the bar.
    """

    fmt: Final = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {elapsed}<{remaining}"
    desc: Final = "Epoch"
    color: Final = "blue"

    def __init__(self, event: events.StartTrainingEvent, *, leave: bool, file: TextIO) -> None:
        """Draw the bar at 0 %.

        Args:
            event: the training that starts.
            leave: whether the bar stays when the training is over.
            file: stream to draw on.
        """
        self._end_epoch = event.end_epoch
        self._bar: tqdm[Any] = tqdm(
            total=max(0, event.end_epoch - event.start_epoch),
            desc=f"{self.desc}:",
            leave=leave,
            file=file,
            bar_format=self.fmt,
            colour=self.color,
        )

    def update(self, epoch: int) -> None:
        """Draw that an epoch starts.

        Args:
            epoch: its number.
        """
        self._bar.update()
        self._bar.set_description(f"{self.desc}: {epoch} / {self._end_epoch}")

    def close(self) -> None:
        """Draw the last state, and leave or clear the line."""
        self._bar.close()


@dataclass(slots=True)
class _RunBars:
    """The bars of one run: its training's, and its passes' by source."""

    training: TrainingBar | None = None
    passes: dict[str, EpochBar] = field(default_factory=dict)

    def open_passes(self) -> int:
        return sum(bar.open for bar in self.passes.values())


class TqdmLogger(Tracker):
    """Draws a bar per pass over a loader, and on request one for the training above it."""

    wants_live = True

    def __init__(
        self,
        leave: bool = True,  # noqa: FBT001, FBT002  # DRYTorch's own signature
        enable_training_bar: bool = False,  # noqa: FBT001, FBT002  # DRYTorch's own signature
        file: StreamName | TextIO = "stderr",
        *,
        notebook: bool | None = None,
    ) -> None:
        """Initialize.

        Args:
            leave: whether the bar of a pass stays when it is over.
            enable_training_bar: draw a second bar that counts the training's epochs. Use it only
                where two bars are supported and nothing else prints.
            file: `stderr`, `stdout` or an open text stream.
            notebook: the output is a notebook's cell, where bars of passes that would vanish are
                not drawn. None: as it is in the process that subscribes the tracker.
        """
        self._notebook = notebook
        self._leave = leave
        self._enable_training_bar = enable_training_bar
        self._file = terminal.checked(file)
        self._runs: dict[str, _RunBars] = {}

    def declared(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the options, a standard stream by its name."""
        return (), {
            "leave": self._leave,
            "enable_training_bar": self._enable_training_bar,
            "file": self._file,
            "notebook": has_widgets() if self._notebook is None else self._notebook,
        }

    def setup(self, context: TrackerContext) -> None:
        """Let the console close bars before lines that end them."""
        super().setup(context)
        terminal.register(self)

    def handle(self, delivery: Delivery) -> None:
        """Draw an event, but not what was drawn before the worker went on."""
        if not delivery.replayed:
            super().handle(delivery)

    def on_iterate_batch(self, event: events.IterateBatchEvent) -> None:
        """Draw a new bar."""
        bars = self._bars()
        old = bars.passes.pop(event.source_name, None)
        if old is not None:
            old.close()
        below = sum(each.open_passes() for each in self._runs.values() if each is not bars)
        leave = self._leave and bars.training is None
        if leave or not self._notebook:
            position = below + (bars.training is not None)
            file = self._stream()
            bars.passes[event.source_name] = EpochBar(
                event, leave=leave, file=file, position=position
            )

    def on_batch_progress(self, event: events.BatchProgressEvent) -> None:
        """Move the bar of the pass, where there is one."""
        bars = self._runs.get(self.run)
        if bars is not None and event.source_name in bars.passes:
            bars.passes[event.source_name].update(event)

    def on_start_training(self, event: events.StartTrainingEvent) -> None:
        """Draw the training's bar, where it is wanted."""
        if self._enable_training_bar:
            self._close_training()
            self._bars().training = TrainingBar(event, leave=self._leave, file=self._stream())

    def on_start_epoch(self, event: events.StartEpochEvent) -> None:
        """Move the training's bar."""
        training = self._bars().training
        if training is not None:
            training.update(event.epoch)

    def on_end_epoch(self, event: events.EndEpochEvent) -> None:
        """Close what the epoch left open."""
        del event
        self.close_passes(self.run)

    def on_end_test(self, event: events.EndTestEvent) -> None:
        """Close what the test left open."""
        del event
        self.close_passes(self.run)

    def on_terminated_training(self, event: events.TerminatedTrainingEvent) -> None:
        """Close the bars: a pass may have been broken off."""
        del event
        self.close_passes(self.run)
        self._close_training()

    def on_end_training(self, event: events.EndTrainingEvent) -> None:
        """Close the training's bar."""
        del event
        self._close_training()

    def on_stop_experiment(self, event: events.StopExperimentEvent) -> None:
        """Close all bars of the run."""
        del event
        self._close_run()

    def on_run_lost(self, event: events.RunLostEvent) -> None:
        """Close all bars of the run."""
        del event
        self._close_run()

    def clean_up(self) -> None:
        """Close all bars."""
        for run in list(self._runs):
            self.close_passes(run)
            training = self._runs.pop(run).training
            if training is not None:
                training.close()

    def close_passes(self, run: str) -> None:
        """Close the bars of passes that a run left unfinished.

        Args:
            run: UUID of the run.
        """
        if run in self._runs:
            for bar in self._runs[run].passes.values():
                bar.close()

    def _close_training(self) -> None:
        bars = self._bars()
        if bars.training is not None:
            bars.training.close()
            bars.training = None

    def _close_run(self) -> None:
        self.close_passes(self.run)
        self._close_training()
        self._runs.pop(self.run, None)

    def _bars(self) -> _RunBars:
        return self._runs.setdefault(self.run, _RunBars())

    def _stream(self) -> TextIO:
        return terminal.stream_of(self._file) if isinstance(self._file, str) else self._file
