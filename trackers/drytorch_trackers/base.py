"""The base class of all trackers, and what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Self

from drytorch_schemas import events
from drytorch_trackers import tracker_rules
from drytorch_trackers.delivery import CurrentRun, Delivery, Missing, TrackerContext
from drytorch_trackers.methods import METHODS

__all__ = ["METHODS", "CurrentRun", "Delivery", "Missing", "Tracker", "TrackerContext"]


class Tracker:
    """Receives the events of runs; override a method per kind of event that you need.

    An object made in the training process is a declaration: a worker builds the real one from the
    class and the constructor's arguments. Hence the constructor should open nothing.

    Attributes:
        kinds: the kinds of events wanted, None for all.
        wants_live: whether `BatchProgressEvent` is wanted also while a pass is under way.
        wants_whole_run: whether a restart or a late start should give the run from its start.
        wants_ranks: whether what other ranks than 0 report is wanted, under `ranks='all'`.
        remembers: whether handling an event again changes nothing, in whatever process: where a
            run is resumed, such a tracker is given all of it, so that nothing can be missing.
        keeps: the kinds of events that `find_missing` can look for in what was written.
        delivery: what is being handled.
        context: where the tracker runs, after `setup`.
        current: in the training process, the run that the tracker is subscribed to.
        declared_args: the constructor's positional arguments.
        declared_kwargs: the constructor's keyword arguments.
    """

    kinds: ClassVar[frozenset[str] | None] = None
    wants_live: ClassVar[bool] = False
    wants_whole_run: ClassVar[bool] = False
    wants_ranks: ClassVar[bool] = False
    remembers: ClassVar[bool] = False
    keeps: ClassVar[frozenset[str]] = frozenset()

    delivery: Delivery
    context: TrackerContext
    current: CurrentRun | None
    declared_args: tuple[Any, ...]
    declared_kwargs: Mapping[str, Any]
    _open_runs: set[str]
    _is_clean: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the constructor's arguments, also where a subclass forgets `super().__init__()`."""
        tracker = super().__new__(cls)
        tracker.declared_args = args
        tracker.declared_kwargs = kwargs
        tracker.current = None
        tracker._open_runs = set()
        tracker._is_clean = False
        return tracker

    def setup(self, context: TrackerContext) -> None:
        """Get ready in the worker, before the first event. Call `super().setup(context)` first."""
        self.context = context

    def handle(self, delivery: Delivery) -> None:
        """Take one delivery: keep it as `self.delivery` and notify.

        Args:
            delivery: an event and where it came from.
        """
        self.delivery = delivery
        self._is_clean = False
        self.notify(delivery.envelope.event)

    def notify(self, event: events.Event) -> None:
        """Take one event: call its `on_...` method, and clean up when the last open run stops.

        Args:
            event: the event.
        """
        run = self.run
        if isinstance(event, events.StartExperimentEvent):
            self._open_runs.add(run)
            self.make_current()
        getattr(self, METHODS.get(event.kind, "on_unknown"))(event)
        if isinstance(event, events.StopExperimentEvent):
            self._open_runs.discard(run)
            if not self._open_runs:
                self.reset_current()
                self.clean_up()
                self._is_clean = True

    @property
    def run(self) -> str:
        """UUID of the run whose event is handled; empty where `notify` was called directly."""
        delivery: Delivery | None = getattr(self, "delivery", None)
        return "" if delivery is None else delivery.run

    def flush(self) -> None:
        """Make what was handled safe; called before the worker notes how far it is."""

    def clean_up(self) -> None:
        """Close what is open; called when the last open run stops, and when the worker leaves.

        Not twice in a row: an event lies between two calls.
        """

    def clean_up_once(self) -> None:
        """Clean up as the worker leaves, where that was not done after the last event already."""
        if not self._is_clean:
            self._is_clean = True
            self.clean_up()

    def find_missing(self, deliveries: Iterable[Delivery]) -> list[Missing]:
        """Return the events that are not in what this tracker wrote; call it after `setup`.

        Args:
            deliveries: the events of one run whose kinds are in `keeps`.
        """
        del deliveries
        return []

    # ---- the object that is subscribed in this process

    def declared(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the positional and keyword arguments that a worker builds this tracker from."""
        return self.declared_args, self.declared_kwargs

    @classmethod
    def broken_rule(cls) -> str:
        """Return why this class cannot work as a tracker, in a sentence; empty where it can."""
        return tracker_rules.broken_rule(cls)

    @classmethod
    def get_current(cls) -> Self:
        """Return the object of this class that is subscribed in the current run.

        For a tracker that is subscribed by name, also a default one, that is an object made from
        its declaration, the same one each time.

        Raises:
            TrackerNotUsedError: none is (the client's error: a user catches one class).
        """
        from drytorch_client.current_trackers import CurrentTrackers
        from drytorch_client.errors import TrackerNotUsedError

        current = _CURRENT[cls] if cls in _CURRENT else CurrentTrackers.declared(cls)
        if not isinstance(current, cls):
            raise TrackerNotUsedError(
                f"No {cls.__name__} is subscribed in a current run: "
                f"subscribe one before the run starts."
            )
        return current

    def make_current(self, **run: Any) -> None:
        """Become what `get_current` of this object's class returns.

        Args:
            run: in the training process, the fields of `CurrentRun`, for trackers that load.
        """
        if run:
            self.current = CurrentRun(**run)
        _CURRENT[type(self)] = self

    def reset_current(self) -> None:
        """Stop being what `get_current` returns, where this object is it."""
        if _CURRENT.get(type(self)) is self:
            del _CURRENT[type(self)]

    # ---- one method per kind of event, all of which do nothing here

    def on_start_experiment(self, event: events.StartExperimentEvent) -> None:
        """A run starts."""

    def on_update_experiment(self, event: events.UpdateExperimentEvent) -> None:
        """Config or tags were extended after the run's start."""

    def on_stop_experiment(self, event: events.StopExperimentEvent) -> None:
        """A run stops."""

    def on_run_lost(self, event: events.RunLostEvent) -> None:
        """A run's training process is gone without a word."""

    def on_run_found(self, event: events.RunFoundEvent) -> None:
        """A run that was said to be lost is back."""

    def on_model_registration(self, event: events.ModelRegistrationEvent) -> None:
        """A model was registered."""

    def on_actor_registration(self, event: events.ActorRegistrationEvent) -> None:
        """A source of metrics was registered."""

    def on_start_training(self, event: events.StartTrainingEvent) -> None:
        """A training starts."""

    def on_end_training(self, event: events.EndTrainingEvent) -> None:
        """A training ended."""

    def on_terminated_training(self, event: events.TerminatedTrainingEvent) -> None:
        """A training was terminated early."""

    def on_start_epoch(self, event: events.StartEpochEvent) -> None:
        """An epoch starts."""

    def on_end_epoch(self, event: events.EndEpochEvent) -> None:
        """An epoch ended."""

    def on_start_test(self, event: events.StartTestEvent) -> None:
        """A test starts."""

    def on_end_test(self, event: events.EndTestEvent) -> None:
        """A test ended."""

    def on_iterate_batch(self, event: events.IterateBatchEvent) -> None:
        """A pass over a loader starts."""

    def on_batch_progress(self, event: events.BatchProgressEvent) -> None:
        """A pass over a loader is so far; only the last one of a pass unless `wants_live`."""

    def on_metric(self, event: events.MetricEvent) -> None:
        """Metrics of one pass or of one step."""

    def on_learning_rate(self, event: events.LearningRateEvent) -> None:
        """The learning rate was updated."""

    def on_save_model(self, event: events.SaveModelEvent) -> None:
        """A checkpoint was saved."""

    def on_load_model(self, event: events.LoadModelEvent) -> None:
        """A checkpoint was loaded."""

    def on_custom(self, event: events.CustomEvent) -> None:
        """An event of the user's own."""

    def on_loss(self, event: events.LossEvent) -> None:
        """Events were accepted and will never arrive."""

    def on_unknown(self, event: events.Event) -> None:
        """An event of a kind that this version does not know."""


#: By class; not kept in the classes: one that is handed over takes its attributes along.
_CURRENT: Final[dict[type[Tracker], Tracker]] = {}
