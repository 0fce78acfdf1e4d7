"""The tracker that prints a run's events as lines, through the `drytorch` logger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from drytorch_schemas import events
from drytorch_trackers import console_records, terminal
from drytorch_trackers.base import Delivery, Tracker, TrackerContext
from drytorch_trackers.console_format import (
    INFO_LEVELS,
    DryTorchFilter,
    DryTorchFormatter,
    InfoLevels,
    ProgressFormatter,
    name_levels,
)
from drytorch_trackers.console_switches import (
    FormatterStyle,
    check_style,
    disable_default_handler,
    disable_propagation,
    enable_default_handler,
    enable_propagation,
    get_verbosity,
    logger,
    set_formatter,
    set_verbosity,
    switched,
)
from drytorch_trackers.terminal import StreamName, printable

__all__ = [
    "INFO_LEVELS",
    "BuiltinLogger",
    "DryTorchFilter",
    "DryTorchFormatter",
    "InfoLevels",
    "ProgressFormatter",
    "disable_default_handler",
    "disable_propagation",
    "enable_default_handler",
    "enable_propagation",
    "get_verbosity",
    "set_formatter",
    "set_verbosity",
]

_SOURCE_WIDTH = 15


class BuiltinLogger(Tracker):
    """Prints a line per event through the standard library's `logging`.

    The options are carried to the worker; for those not given, what the switches of this module
    were set to when the run starts.
    """

    def __init__(
        self,
        verbosity: int = INFO_LEVELS.metrics,
        stream: StreamName | TextIO | None = "stderr",
        formatter: FormatterStyle = "drytorch",
        propagate: bool = False,  # noqa: FBT001, FBT002  # an option like the others
        deduplicate_stream: bool = True,  # noqa: FBT001, FBT002  # as above
    ) -> None:
        """Initialize.

        Args:
            verbosity: print lines from this level on, see `INFO_LEVELS`.
            stream: `stderr`, `stdout`, an open text stream, or None to print nothing.
            formatter: `drytorch`, or `progress` to overwrite epochs and model states.
            propagate: hand lines to the training process's root logger too, while that lives.
            deduplicate_stream: keep them from those of its handlers that print to `stream`.

        Raises:
            ValueError: there is no such stream or formatter.
        """
        check_style(formatter)
        self._options: dict[str, Any] = {
            "verbosity": verbosity,
            "stream": None if stream is None else terminal.checked(stream),
            "formatter": formatter,
            "propagate": propagate,
            "deduplicate_stream": deduplicate_stream,
        }
        self._given = {*list(self._options)[: len(self.declared_args)], *self.declared_kwargs}

    def declared(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the options in force: those given, else what was switched, else the defaults."""
        later = {key: value for key, value in switched().items() if key not in self._given}
        return (), self._options | later

    def setup(self, context: TrackerContext) -> None:
        """Set the worker's logger up."""
        super().setup(context)
        name_levels()
        if self._options["stream"] is None:
            disable_default_handler()
        else:
            enable_default_handler(self._options["stream"])
        set_formatter(self._options["formatter"])
        if self._options["propagate"]:
            enable_propagation(self._options["deduplicate_stream"])
        console_records.add_to(logger)
        set_verbosity(self._options["verbosity"])

    def handle(self, delivery: Delivery) -> None:
        """Print an event, but not what was printed before the worker went on."""
        if not delivery.replayed:
            super().handle(delivery)

    def on_start_experiment(self, event: events.StartExperimentEvent) -> None:
        """Say which run starts."""
        verb = "Resuming" if event.resumed else "Starting"
        self._say_run(event.exp_name, f"{verb} run: {printable(event.run_id)}")

    def on_stop_experiment(self, event: events.StopExperimentEvent) -> None:
        """Say which run stops, below the bars that it leaves."""
        terminal.close_passes(self.run)
        self._say_run(event.exp_name, f"Stopping run: {printable(event.run_id)}")

    def on_run_lost(self, event: events.RunLostEvent) -> None:
        """Say which run ended without a word."""
        terminal.close_passes(self.run)
        self._say_origin("Lost run", f" ({printable(event.reason)})")

    def on_run_found(self, event: events.RunFoundEvent) -> None:
        """Say which run is back."""
        del event
        self._say_origin("Found run")

    def on_loss(self, event: events.LossEvent) -> None:
        """Say how much is missing."""
        self._say_origin("Run", f" - {event.count} events lost ({printable(event.reason)})")

    def on_model_registration(self, event: events.ModelRegistrationEvent) -> None:
        """Say which model there is."""
        self._say(INFO_LEVELS.internal, f"Model {printable(event.model_name)} has been registered")

    def on_actor_registration(self, event: events.ActorRegistrationEvent) -> None:
        """Say which source there is."""
        names = f"{printable(event.actor_name)} {printable(event.model_name)}"
        self._say(INFO_LEVELS.internal, f"Source {names} has been registered")

    def on_start_training(self, event: events.StartTrainingEvent) -> None:
        """Say what is trained."""
        self._say(INFO_LEVELS.training, f"Training {printable(event.model_name)} started")

    def on_end_training(self, event: events.EndTrainingEvent) -> None:
        """Say that the training is over."""
        del event
        self._say(INFO_LEVELS.training, "Training ended")

    def on_terminated_training(self, event: events.TerminatedTrainingEvent) -> None:
        """Say why the training ends early, below the bar of the pass that it breaks off."""
        terminal.close_passes(self.run)
        what = f"Training {printable(event.model_name)} terminated at epoch {event.epoch}"
        self._say(INFO_LEVELS.training, f"{what}. Reason: {printable(event.reason)}")

    def on_start_epoch(self, event: events.StartEpochEvent) -> None:
        """Say which epoch starts, aligned to the last one's width."""
        last = "" if event.end_epoch is None else str(event.end_epoch)
        of_last = f"/{last}" if last else ""
        self._say(INFO_LEVELS.epoch, f"====> Epoch {event.epoch:{len(last) or 1}d}{of_last}:")

    def on_end_epoch(self, event: events.EndEpochEvent) -> None:
        """Say that the epoch is over."""
        del event
        self._say(INFO_LEVELS.internal, "Epoch completed")

    def on_start_test(self, event: events.StartTestEvent) -> None:
        """Say what is tested."""
        self._say(INFO_LEVELS.test, f"Testing {printable(event.model_name)} started")

    def on_end_test(self, event: events.EndTestEvent) -> None:
        """Say that the test is over."""
        del event
        self._say(INFO_LEVELS.internal, "Test executed without errors")

    def on_metric(self, event: events.MetricEvent) -> None:
        """Print the values of a pass or of a step."""
        parts = [f"{printable(event.source_name).rjust(_SOURCE_WIDTH)}: "]
        parts += [f"{printable(name)}={value:4e}" for name, value in event.metrics.items()]
        self._say(INFO_LEVELS.metrics, "\t".join(parts))

    def on_learning_rate(self, event: events.LearningRateEvent) -> None:
        """Say what the optimizer goes on with."""
        parts = [f"Updated {printable(event.model_name)} optimizer at epoch {event.epoch}"]
        if event.base_lr is not None:
            parts.append(f"New learning rate: {printable(str(event.base_lr))}")
        if event.scheduler_name is not None:
            parts.append(f"New scheduler: {printable(event.scheduler_name)}")
        self._say(INFO_LEVELS.model_state, ". ".join(parts))

    def on_save_model(self, event: events.SaveModelEvent) -> None:
        """Say what was saved, and where."""
        what = f"{printable(event.model_name)} {printable(event.definition)}"
        self._say(INFO_LEVELS.model_state, f"Saving {what} in: {printable(event.location)}")

    def on_load_model(self, event: events.LoadModelEvent) -> None:
        """Say what was loaded."""
        what = f"{printable(event.model_name)} {printable(event.definition)}"
        self._say(INFO_LEVELS.model_state, f"Loading {what} at epoch {event.epoch}")

    def _say_origin(self, what: str, remark: str = "") -> None:
        origin = self.delivery.envelope.origin
        self._say_run(origin.experiment, f"{what}: {printable(origin.run_id)}{remark}")

    def _say_run(self, experiment: str, text: str) -> None:
        self._say(INFO_LEVELS.experiment, f"Experiment: {printable(experiment)} - {text}")

    def _say(self, level: int, text: str) -> None:
        if not logger.isEnabledFor(level):
            return
        record = logger.makeRecord(logger.name, level, __file__, 0, text, (), None)
        # the line tells when it happened, not when the worker came to print it
        record.created = self.delivery.envelope.time / 1e9
        record.msecs = record.created % 1 * 1000
        logger.handle(record)
