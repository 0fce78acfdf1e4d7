"""The tracker that writes metrics to a database, in DRYTorch's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import sqlalchemy

from drytorch_client.errors import TrackerArgumentError
from drytorch_schemas import events
from drytorch_trackers import sql_address
from drytorch_trackers.base import Delivery, Missing, TrackerContext
from drytorch_trackers.errors import OptionError, TrackerError
from drytorch_trackers.loading import MetricLoader, SourcedMetrics
from drytorch_trackers.sql_check import lacking
from drytorch_trackers.sql_reader import Wanted, load
from drytorch_trackers.sql_store import Store

#: Events and values after which is written without waiting for the next flush.
_MAX_EVENTS: Final = 500
_MAX_VALUES: Final = 5000

_MAX_MODELS: Final = 10_000

Identity = tuple[str, int]


class SQLConnection(MetricLoader):
    """Writes metrics to DRYTorch's tables in a database of SQLite or PostgreSQL.

    Events are written together, in one transaction with their identities, whenever the worker
    notes how far it is. Handling an event twice adds nothing.
    """

    default_url: ClassVar[sqlalchemy.URL] = sqlalchemy.URL.create("sqlite", database="metrics.db")
    kinds: ClassVar[frozenset[str] | None] = frozenset(
        {
            "StartExperiment",
            "UpdateExperiment",
            "StopExperiment",
            "ModelRegistration",
            "ActorRegistration",
            "Metric",
        }
    )
    remembers: ClassVar[bool] = True
    keeps: ClassVar[frozenset[str]] = frozenset({"StartExperiment", "ActorRegistration", "Metric"})

    def __init__(
        self,
        engine: sqlalchemy.Engine | sqlalchemy.URL | str | None = None,
        *,
        url: str | None = None,
    ) -> None:
        """Initialize; nothing is opened.

        Args:
            engine: an engine or a URL. An engine is declared to the worker by its URL alone.
            url: the same as text. Where neither is given it is `sqlite:///metrics.db`, in the
                current folder of the training process; in a tracker that was not made there, in
                its parent folder.

        Raises:
            OptionError: both are given, or the URL cannot be used.
            MissingExtraError: the database's driver is not installed.
        """
        if engine is not None and url is not None:
            raise OptionError("SQLConnection has both engine and url: give one of them.")
        given = engine if engine is not None else url
        self._engine = given if isinstance(given, sqlalchemy.Engine) else None
        self._here = Path.cwd()
        self._url = None
        if given is not None:
            self._url = sql_address.resolve(sql_address.parse(given), self._here)
        self._store: Store | None = None
        self._resumed: dict[str, bool] = {}
        self._waiting: dict[Identity, Delivery] = {}
        self._values = 0

    def declared(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the database's URL, complete with its password.

        Raises:
            TrackerArgumentError: the database would end with the worker.
        """
        if self._url is None:
            self._url = sql_address.resolve(self.default_url, self._here)
        if sql_address.is_memory(self._url):
            raise TrackerArgumentError(
                "A database in memory would end with the worker of SQLConnection: name a file, "
                "such as sqlite:///metrics.db."
            )
        return (), {"url": self._url.render_as_string(hide_password=False)}

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine, for queries of your own.

        Raises:
            TrackerError: the database is not known: the tracker is in no run.
        """
        return self._database().engine

    def setup(self, context: TrackerContext) -> None:
        """Settle where the database is, and make its folder; it is opened with the first event."""
        super().setup(context)
        self._database().make_folder()

    def handle(self, delivery: Delivery) -> None:
        """Keep an event until the next flush.

        Args:
            delivery: an event and where it came from.

        Raises:
            BackendAwayError: the database does not answer.
            TrackerError: the database refuses it.
        """
        super().handle(delivery)
        if len(self._waiting) >= _MAX_EVENTS or self._values >= _MAX_VALUES:
            self.flush()

    def on_start_experiment(self, event: events.StartExperimentEvent) -> None:
        """Add a row for the experiment, its tags and the run."""
        self._resumed[self.run] = event.resumed
        self._keep()

    def on_update_experiment(self, event: events.UpdateExperimentEvent) -> None:
        """Add the tags that are new."""
        del event
        self._keep()

    def on_stop_experiment(self, event: events.StopExperimentEvent) -> None:
        """Write what waits: the run is over."""
        del event
        self.flush()

    def on_model_registration(self, event: events.ModelRegistrationEvent) -> None:
        """Remember the model's timestamp for sources that are never registered."""
        models = self._database().models
        if models.get((self.run, event.model_name)) != event.model_ts:
            self.flush()  # what waits came before it
        if len(models) >= _MAX_MODELS:
            models.clear()
        models[self.run, event.model_name] = event.model_ts

    def on_actor_registration(self, event: events.ActorRegistrationEvent) -> None:
        """Add a row for the source."""
        del event
        self._keep()

    def on_metric(self, event: events.MetricEvent) -> None:
        """Add a row for each metric."""
        self._database().write(lambda writer: writer.check(event))
        self._keep(len(event.metrics))

    def flush(self) -> None:
        """Write what waits, in one transaction.

        Raises:
            BackendAwayError: the database does not answer.
            TrackerError: the database refuses it.
        """
        if self._waiting:
            batch = list(self._waiting.values())
            self._database().write(lambda writer: writer.write(batch))
            self._waiting.clear()
            self._values = 0

    def clean_up(self) -> None:
        """Write what waits, and close the database."""
        self.flush()
        self._resumed.clear()
        if self._store is not None:
            self._store.close()

    def find_missing(self, deliveries: Iterable[Delivery]) -> list[Missing]:
        """Return the events that the database does not hold.

        Args:
            deliveries: events of one run.
        """
        with self._database().reading() as opened:
            return lacking(opened, deliveries)

    def _load_metrics(self, model_name: str, max_epoch: int = -1) -> SourcedMetrics:
        wanted = self._wanted()
        self.flush()
        with self._database().reading() as opened:
            if opened is None:
                raise TrackerError(f"Run {wanted.run_id} has no metrics yet.")
            return load(*opened, wanted, model_name, max_epoch)

    def _wanted(self) -> Wanted:
        """Return the run being handled, else the one subscribed to."""
        if hasattr(self, "delivery"):
            origin = self.delivery.envelope.origin
            resumed = self._resumed.get(origin.run, False)
            return Wanted(origin.experiment, origin.run_id, origin.run, resumed)
        if self.current is None:
            raise TrackerError(
                "SQLConnection has no current run: subscribe it before the run starts."
            )
        run = self.current
        return Wanted(run.experiment, run.run_id, run.run, run.resumed)

    def _database(self) -> Store:
        if self._store is None:
            if self._url is None:
                self._url = sql_address.resolve(self.default_url, self._par_dir())
            self._store = Store(self._url, self._engine)
        return self._store

    def _par_dir(self) -> Path:
        context: TrackerContext | None = getattr(self, "context", None)
        if context is not None:
            return context.par_dir
        if self.current is not None:
            return self.current.par_dir
        raise TrackerError("SQLConnection has no database yet: give it a URL, or start a run.")

    def _keep(self, values: int = 1) -> None:
        if self.delivery.envelope.identity not in self._waiting:
            self._waiting[self.delivery.envelope.identity] = self.delivery
            self._values += values
