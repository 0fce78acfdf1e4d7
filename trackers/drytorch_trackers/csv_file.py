"""The tracker that writes metrics to CSV files, one per source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from drytorch_schemas import events
from drytorch_schemas.failpoints import Failpoints
from drytorch_trackers.base import Delivery, Missing, TrackerContext
from drytorch_trackers.csv_check import WantedRow, lacking
from drytorch_trackers.csv_format import DEFAULT, Cell, CsvFormat, Dialect
from drytorch_trackers.csv_reader import BASE, STEPS, read_history, source_of
from drytorch_trackers.csv_table import CsvTable
from drytorch_trackers.errors import TrackerError
from drytorch_trackers.file_names import escape
from drytorch_trackers.loading import HistoryMetrics, MetricLoader, SourcedMetrics
from drytorch_trackers.run_folder import RunFolder, RunFolders

_SIDE_SUFFIX = ".applied"
#: What the side file's replacement is called while it is written; the name must leave room for it.
_ROOM = ".next"
_REMEMBERED = 10_000


class CSVDumper(MetricLoader):
    """Writes `<par_dir>/csv_metrics/<experiment>/<day>/<time>/<model>/<source>.csv`.

    Metrics of steps go to `<source>.steps.csv`, with a further column. Handling an event twice adds
    nothing. A metric that appears late gets a column at the end, with empty cells in earlier rows.
    """

    folder_name: ClassVar[str] = "csv_metrics"
    remembers: ClassVar[bool] = True
    keeps: ClassVar[frozenset[str]] = frozenset({"Metric"})

    def __init__(self, par_dir: Path | None = None, dialect: Dialect = DEFAULT) -> None:
        """Initialize.

        Args:
            par_dir: parent folder of the files, relative to the current one as it is now; the
                default is the worker's.
            dialect: name, class or settings of a dialect of the `csv` module; the default is
                Excel's with quotes around everything that is no number.
        """
        self._own_par_dir = None if par_dir is None else Path(par_dir).absolute()
        self._format = CsvFormat(dialect)
        self._folders: RunFolders | None = None
        self._failpoints: Failpoints | None = None
        self._resumed: dict[str, bool] = {}
        self._tables: dict[str, dict[Path, CsvTable]] = {}
        self._over: set[str] = set()

    def declared(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the options as plain data."""
        options: dict[str, Any] = {}
        if self._own_par_dir is not None:
            options["par_dir"] = self._own_par_dir
        if self._format.settings != DEFAULT:
            options["dialect"] = self._format.settings
        return (), options

    def setup(self, context: TrackerContext) -> None:
        """Make the parent folder, so that one that cannot be written is known at once."""
        super().setup(context)
        par_dir = (self._own_par_dir or context.par_dir).absolute()
        self._folders = RunFolders(par_dir, self.folder_name)
        self._folders.make()
        self._failpoints = Failpoints.get()

    def on_start_experiment(self, event: events.StartExperimentEvent) -> None:
        """Note whether the run may go on with files that another program wrote."""
        while len(self._resumed) >= _REMEMBERED:
            del self._resumed[next(iter(self._resumed))]
        self._resumed[self.run] = event.resumed
        self._over.discard(self.run)

    def on_metric(self, event: events.MetricEvent) -> None:
        """Add a row."""
        columns, cells, mark = _layout(event)
        self._table(event, columns, mark).add(self._identity(), cells, event.metrics)

    def on_stop_experiment(self, event: events.StopExperimentEvent) -> None:
        """Let go of the run's folder at the next flush."""
        del event
        self._over.add(self.run)

    def on_run_lost(self, event: events.RunLostEvent) -> None:
        """Let go of the run's folder at the next flush; it is taken again where the run is back."""
        del event
        self._over.add(self.run)

    def flush(self) -> None:
        """Wait until all rows are on disk, and let go of runs that are over."""
        for tables in self._tables.values():
            for table in tables.values():
                table.flush()
        for run in self._over:
            self._tables.pop(run, None)  # a late event, or the end of its loss, may still come
            if self._folders is not None:
                self._folders.release(run)
        self._over.clear()

    def clean_up(self) -> None:
        """Wait until all rows are on disk, and let go of all folders."""
        self.flush()
        self._tables.clear()
        if self._folders is not None:
            self._folders.release_all()

    def find_missing(self, deliveries: Iterable[Delivery]) -> list[Missing]:
        """Return the metrics that have no row.

        Args:
            deliveries: metrics of one run.
        """
        missing: list[Missing] = []
        wanted: dict[tuple[Path, Path, tuple[str, ...]], list[WantedRow]] = {}
        for each in deliveries:
            event, origin = each.event, each.envelope.origin
            if self._folders is None or not isinstance(event, events.MetricEvent):
                continue
            folder = self._folders.find(origin.experiment, origin.run_id, origin.run)
            if folder is None:
                missing.append(Missing(each))
                continue
            columns, cells, mark = _layout(event)
            path, side = _places(folder, event, mark)
            row = WantedRow(each, cells, event.metrics)
            wanted.setdefault((path, side, columns), []).append(row)
        for (path, side, columns), rows in wanted.items():
            missing += lacking(path, side, columns, self._format, rows)
        return missing

    def read_csv(self, model_name: str, source: str, max_epoch: int = -1) -> HistoryMetrics:
        """Return what the current run's file of a source holds.

        Args:
            model_name: name of the model.
            source: name of the source.
            max_epoch: leave out later epochs; -1 for none.

        Raises:
            TrackerError: there is no current run, or no such file.
        """
        folder, _ = self._current_folder()
        path = None if folder is None else folder.path / escape(model_name) / _file_name(source)
        if path is None or not path.exists():
            raise TrackerError(f"There are no metrics of {source!r} for model {model_name!r} yet.")
        return read_history(path, self._format, max_epoch)

    def _load_metrics(self, model_name: str, max_epoch: int = -1) -> SourcedMetrics:
        folder, resumed = self._current_folder()
        loaded: SourcedMetrics = {}
        for path in sorted(self._files(folder, model_name, resumed=resumed)):
            source = source_of(path, self._format)
            if source is not None:
                loaded[source] = read_history(path, self._format, max_epoch)
        if resumed and not loaded:
            raise TrackerError(f"The resumed run has no metrics of model {model_name!r}.")
        return loaded

    def _files(self, folder: RunFolder | None, model_name: str, *, resumed: bool) -> Iterator[Path]:
        if folder is None:
            return
        model = escape(model_name)
        for path in (folder.path / model).glob("*.csv"):
            ours = (folder.side / "applied" / model / _side_of(path.name)).exists()
            if not path.stem.endswith(STEPS) and (resumed or ours):
                yield path

    def _current_folder(self) -> tuple[RunFolder | None, bool]:
        """Return the folder of the run being handled, else of the one subscribed to."""
        if self._folders is not None and hasattr(self, "delivery"):
            origin = self.delivery.envelope.origin
            folder = self._folders.find(origin.experiment, origin.run_id, origin.run)
            return folder, self._resumed.get(origin.run, False)
        if self.current is None:
            raise TrackerError("CSVDumper has no current run: subscribe it before the run starts.")
        run = self.current
        folders = RunFolders(self._own_par_dir or run.par_dir, self.folder_name)
        return folders.find(run.experiment, run.run_id, run.run), run.resumed

    def _table(self, event: events.MetricEvent, base: tuple[str, ...], mark: str) -> CsvTable:
        if self._folders is None:
            raise TrackerError("CSVDumper was not set up: call setup() before the first event.")
        origin = self.delivery.envelope.origin
        folder = self._folders.take(origin)
        path, side = _places(folder, event, mark)
        tables = self._tables.setdefault(origin.run, {})
        if path not in tables:
            tables[path] = CsvTable(
                path,
                side,
                base,
                self._format,
                adopt=self._resumed.get(origin.run, False) or not folder.found,
                failpoints=self._failpoints,
            )
        return tables[path]

    def _identity(self) -> tuple[str, int]:
        return self.delivery.envelope.identity


def _layout(event: events.MetricEvent) -> tuple[tuple[str, ...], tuple[Cell, ...], str]:
    """Return the columns before the metrics, their cells, and the mark of the file's name."""
    cells: tuple[Cell, ...] = (event.model_name, event.source_name, event.epoch)
    if event.step is None:
        return BASE, cells, ""
    return (*BASE, "Step"), (*cells, event.step), STEPS


def _places(folder: RunFolder, event: events.MetricEvent, mark: str) -> tuple[Path, Path]:
    """Return the CSV file of an event and its side file."""
    model, name = escape(event.model_name), _file_name(event.source_name, mark)
    return folder.path / model / name, folder.side / "applied" / model / _side_of(name)


def _file_name(source: str, mark: str = "") -> str:
    if not mark and source.endswith(STEPS):
        # its dot is escaped, or it would be the file of another source's steps
        return escape(source.removesuffix(STEPS), "%2Esteps.csv")
    return escape(source, f"{mark}.csv")


def _side_of(file_name: str) -> str:
    return escape(file_name, _SIDE_SUFFIX + _ROOM).removesuffix(_ROOM)
