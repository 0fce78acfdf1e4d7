"""The bridge from DRYTorch: a tracker of theirs that forwards every event to the bus.

    from drytorch_trackers.dry_bridge import BusTracker
    experiment.trackers.subscribe(BusTracker(trackers=["csv"]))

It works in a training that runs with DRYTorch's own classes, and does nothing else there: what is
written, drawn and stored is done by trackers in processes of their own.
"""

from __future__ import annotations

import functools
import pathlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from drytorch_client import messages
from drytorch_client.config import ClientConfig
from drytorch_client.forwarding import ForwardedRun
from drytorch_client.handed_over import with_handed_over
from drytorch_client.represent import CONFIG_DEPTH, represent
from drytorch_client.subscriptions import Subscriptions
from drytorch_schemas.events import MetricEvent, Status
from drytorch_trackers import dry_events
from drytorch_trackers.dry_passes import DryPasses, Update
from drytorch_trackers.dry_represent import DryRepresentation
from drytorch_trackers.errors import BridgeWarning

try:
    from drytorch.core import exceptions, experimenting, log_events, tracking
    from drytorch.utils import repr_utils
except ImportError as missing:
    raise ImportError(
        f"drytorch_trackers.dry_bridge needs {(missing.name or 'drytorch').partition('.')[0]}, "
        f"which is not installed: run pip install 'drytorch-bus[drytorch]'.",
        name=missing.name,
    ) from missing


_ERROR_CHARACTERS: Final = 300


class BusTracker(tracking.Tracker):
    """Forwards the events of DRYTorch's runs to the bus, and starts local workers for trackers.

    Attributes:
        trackers: the trackers that local workers host; they may be changed between runs.
    """

    def __init__(
        self,
        trackers: Iterable[Any] | str = (),
        par_dir: str | pathlib.Path | None = None,
        broker: str | None = None,
        **options: Any,
    ) -> None:
        """Initialize.

        Args:
            trackers: our trackers, objects or names, as `Experiment.trackers.subscribe` takes them;
                none by default: events go to the broker only.
            par_dir: folder that the trackers write under; the experiment's by default.
            broker: URL of the broker, or `disabled`; DRYTORCH_BROKER by default, else a local one.
            options: other options of the client, see `ClientConfig`.

        Raises:
            ClientError: a tracker, the broker's URL or an option cannot be used.
        """
        super().__init__()
        self.trackers: Final = Subscriptions(type(self).__name__, {})
        alone = isinstance(trackers, str) or hasattr(trackers, "declared")
        self.trackers.subscribe(*([trackers] if alone else trackers))
        with_handed_over([])  # what `drytorch run -t` says is refused here, not in the loop
        self._par_dir = None if par_dir is None else pathlib.Path(par_dir).absolute()
        self._config = ClientConfig.from_environment(broker, **options)
        self._run: ForwardedRun | None = None
        self._passes: DryPasses | None = None
        self._warned = False

    def notify(self, event: log_events.Event) -> None:
        """Forward an event. Never raises: what goes wrong costs one warning.

        Args:
            event: the event.
        """
        self._guarded(self._forward, event)
        super().notify(event)

    def _guarded(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call what must not disturb the training."""
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - DRYTorch would drop the tracker, or the loop end
            self._warn(error)

    def _forward(self, event: log_events.Event) -> None:
        if isinstance(event, log_events.StartExperimentEvent):
            self._start(event)
        elif self._run is None or self._passes is None:
            return
        elif isinstance(event, log_events.StopExperimentEvent):
            # one that could not start, since this one was active, stops when it is collected
            if event.run_id == self._run.identity.run_id:
                self._stop(_status_of(event.run_id))
        elif isinstance(event, log_events.IterateBatchEvent):
            update = self._passes.begin(event)
            event.push_updates.append(functools.partial(self._update, update))
        elif isinstance(event, log_events.MetricEvent):
            fields = dry_events.fields_of(event, MetricEvent)
            self._run.emit_metrics(MetricEvent, fields, dry_events.numbers(event.metrics))
        else:
            if isinstance(event, log_events.TerminatedTrainingEvent):
                self._passes.finish(event.source_name)  # the pass that did not converge
            self._run.emit(dry_events.translate(event, _representation()))

    def _update(self, update: Update, metrics: Mapping[str, Any], n_processes: int = 1) -> None:
        """Take a batch, in the training loop itself."""
        self._guarded(update, metrics, n_processes)

    def _start(self, event: log_events.StartExperimentEvent) -> None:
        self._stop("completed")  # a run of which this tracker was removed
        self._warned = False
        start = dry_events.translate_start(event, _plain_config(event.config))
        run = ForwardedRun(
            start,
            config=self._config,
            par_dir=self._par_dir,
            record=_is_recorded(event.run_id),
            finish_passes=self._finish_passes,
        )
        self._run, self._passes = run, DryPasses(run)
        run.start(self.trackers)

    def _stop(self, status: Status) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.stop(status)

    def _finish_passes(self) -> None:
        if self._passes is not None:
            self._guarded(self._passes.finish_all)

    def _warn(self, error: Exception) -> None:
        """Say what went wrong, once in a run; where warnings are errors, as a line on stderr."""
        if self._warned:
            return
        self._warned = True
        text = f"{type(self).__name__} cannot forward an event of this run: {_one_line(error)}."
        try:
            warnings.warn(BridgeWarning(text), stacklevel=5)
        except BridgeWarning:
            messages.warn(text)


def _representation() -> DryRepresentation:
    return DryRepresentation(repr_utils.Omitted, repr_utils.LiteralStr)


def _plain_config(config: Any) -> Any:
    """Return a configuration as plain data, represented as DRYTorch's own trackers do."""
    try:
        represented = repr_utils.recursive_repr(config, depth=CONFIG_DEPTH)
    except Exception:  # noqa: BLE001 - cycles, unhashable elements, and what users' objects raise
        return represent(config, CONFIG_DEPTH)
    return _representation().plain(represented)


def _current_run(run_id: str) -> experimenting.Run[Any] | None:
    """Return DRYTorch's run of an id where it is the current one; it may be gone already."""
    try:
        run = experimenting.Experiment[Any].get_current().run
    except exceptions.NoActiveExperimentError:
        return None
    return run if run.id == run_id else None


def _is_recorded(run_id: str) -> bool:
    """Tell whether a run is in DRYTorch's registry, so that another process may resume it."""
    run = _current_run(run_id)
    return run is None or run.record


def _status_of(run_id: str) -> Status:
    """Return how a run ended: DRYTorch's event does not say it, but its run does."""
    run = _current_run(run_id)
    return "failed" if run is not None and run.status == "failed" else "completed"


def _one_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, ValidationError):
        text = error.errors(include_url=False, include_input=False)[0]["msg"]
    return f"{type(error).__name__}: {' '.join(text.split())}"[:_ERROR_CHARACTERS].rstrip(".")
