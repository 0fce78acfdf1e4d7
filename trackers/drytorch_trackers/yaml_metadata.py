"""The tracker that writes configuration and metadata to YAML files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from drytorch_schemas import events
from drytorch_schemas.failpoints import Failpoints
from drytorch_trackers import durable
from drytorch_trackers.base import Delivery, Missing, Tracker, TrackerContext
from drytorch_trackers.errors import TrackerError
from drytorch_trackers.run_folder import RunFolders
from drytorch_trackers.yaml_documents import KINDS, Documents
from drytorch_trackers.yaml_format import holds, to_yaml


class YamlDumper(Tracker):
    """Writes YAML files to `<par_dir>/metadata/<experiment>/<day>/<time>/`.

    `yaml_documents` has their names and contents. A file's content depends on one event only, and a
    file is replaced at once: handling an event again changes nothing.
    """

    folder_name: ClassVar[str] = "metadata"
    wants_ranks: ClassVar[bool] = True  # each has a folder of its own
    kinds: ClassVar[frozenset[str]] = KINDS | {"RunLost"}
    remembers: ClassVar[bool] = True
    keeps: ClassVar[frozenset[str]] = KINDS

    def __init__(self, par_dir: Path | None = None) -> None:
        """Initialize.

        Args:
            par_dir: parent folder of the files, relative to the current one as it is now; the
                default is the worker's.
        """
        self._own_par_dir = None if par_dir is None else Path(par_dir).absolute()
        self._folders: RunFolders | None = None
        self._failpoints: Failpoints | None = None
        self._documents = Documents()
        self._unsynced: set[Path] = set()
        self._over: set[str] = set()

    def declared(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the options as plain data."""
        own = self._own_par_dir
        return (), {} if own is None else {"par_dir": own}

    def setup(self, context: TrackerContext) -> None:
        """Make the parent folder, so that one that cannot be written is known at once."""
        super().setup(context)
        par_dir = (self._own_par_dir or context.par_dir).absolute()
        self._folders = RunFolders(par_dir, self.folder_name)
        self._folders.make()
        self._failpoints = Failpoints.get()

    def on_start_experiment(self, event: events.StartExperimentEvent) -> None:
        """Write the configuration."""
        del event
        self._over.discard(self.run)
        self._write()

    def on_update_experiment(self, event: events.UpdateExperimentEvent) -> None:
        """Write configuration and tags as they are now."""
        del event
        self._write()

    def on_model_registration(self, event: events.ModelRegistrationEvent) -> None:
        """Write the model's architecture."""
        del event
        self._write()

    def on_actor_registration(self, event: events.ActorRegistrationEvent) -> None:
        """Write the source's metadata."""
        del event
        self._write()

    def on_stop_experiment(self, event: events.StopExperimentEvent) -> None:
        """Write the summary where there is one; let go of the run's folder at the next flush."""
        del event
        self._write()
        self._over.add(self.run)

    def on_run_lost(self, event: events.RunLostEvent) -> None:
        """Let go of the run's folder at the next flush; it is taken again where the run is back."""
        del event
        self._over.add(self.run)

    def flush(self) -> None:
        """Wait until the files' names are on disk, and let go of runs that are over."""
        for folder in self._unsynced:
            durable.sync_folder(folder)
        self._unsynced.clear()
        if self._folders is not None:
            for run in self._over:
                self._folders.release(run)
        self._over.clear()

    def clean_up(self) -> None:
        """Wait until the files' names are on disk, and let go of all folders."""
        self.flush()
        if self._folders is not None:
            self._folders.release_all()

    def find_missing(self, deliveries: Iterable[Delivery]) -> list[Missing]:
        """Return the events whose files are not there or hold something else.

        Args:
            deliveries: the events of one run, in their order.
        """
        missing: list[Missing] = []
        wanted: dict[Path, tuple[Delivery, Any]] = {}
        documents = Documents()
        for each in deliveries:
            document, origin = documents.of(each), each.envelope.origin
            if document is None or self._folders is None:
                continue
            folder = self._folders.find(origin.experiment, origin.run_id, origin.run)
            if folder is None:
                missing.append(Missing(each))
            else:
                wanted[folder.path / document.path] = each, document.value
        missing += [
            Missing(each) for path, (each, value) in wanted.items() if not holds(path, value)
        ]
        return missing

    def _write(self) -> None:
        """Write the file of the event at hand, unless it is there as it should be."""
        document = self._documents.of(self.delivery)
        if document is None:
            return
        if self._folders is None:
            raise TrackerError("YamlDumper was not set up: call setup() before the first event.")
        path = self._folders.take(self.delivery.envelope.origin).path / document.path
        data = to_yaml(document.value)
        if _content(path) != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write(path, data, self._failpoints)
        # also one that is there: who wrote it may have been killed before it had its name on disk
        above = [each for each in path.parents if each.is_relative_to(self._folders.par_dir)]
        self._unsynced.update(above)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
