"""What the bridge makes of DRYTorch's events, and that it never disturbs DRYTorch's loop."""

import datetime
import functools
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dry_loading import drytorch_loaded
from drytorch_client import forwarding, messages, session
from drytorch_client.errors import ClientError
from drytorch_schemas import events
from drytorch_trackers import CSVDumper
from drytorch_trackers.errors import BridgeWarning
from recording import RecordingSender, RecordingSupervisor

TS = datetime.datetime(2025, 8, 1, 12, 54, 21)  # noqa: DTZ001 - DRYTorch's times are naive


@pytest.fixture(scope="module")
def dry() -> Iterator[Any]:
    """Return DRYTorch's modules and the bridge."""
    with drytorch_loaded() as modules:
        yield modules


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> RecordingSender:
    """Let runs report to a list and start no worker."""
    sender = RecordingSender()
    monkeypatch.setattr(session, "get_sender", lambda _config: sender)
    monkeypatch.setattr(session, "local_supervisor", RecordingSupervisor)
    return sender


@pytest.fixture
def experiment_of(dry: Any, sender: RecordingSender, tmp_path: Path) -> Callable[..., Any]:  # noqa: ARG001 - it comes first
    """Return a maker of DRYTorch's experiments that report to a tracker."""

    def make(tracker: Any, config: Any = None, **named: Any) -> Any:
        experiment = dry.experimenting.Experiment(config, name="Exp", par_dir=tmp_path, tags=["a"])
        experiment.trackers.subscribe(tracker, **named)
        return experiment

    return make


def last(sender: RecordingSender) -> Any:
    """Return the event that was reported last."""
    return sender.events[-1]


def test_each_event_keeps_its_fields(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """Every kind of DRYTorch's events arrives as ours, with the same values."""
    ours = {name for name in dry.events.__all__ if name != "Event"}
    of = {"source_name": "Trainer", "model_name": "net"}
    given: dict[str, dict[str, Any]] = {
        "ModelRegistrationEvent": {"model_name": "net", "model_ts": TS, "architecture_repr": "N()"},
        "ActorRegistrationEvent": {
            "actor_name": "Trainer",
            "actor_ts": TS,
            "model_name": "net",
            "model_ts": TS,
            "metadata": {"lr": 0.1},
        },
        "StartTrainingEvent": {**of, "start_epoch": 0, "end_epoch": 3},
        "StartEpochEvent": {**of, "epoch": 1, "end_epoch": None},
        "MetricEvent": {**of, "epoch": 1, "metrics": {"loss": 0.5, "count": 3}},
        "LearningRateEvent": {**of, "epoch": 1, "base_lr": {"a": 1, "b": 0.5}},
        "SaveModelEvent": {
            "model_name": "net",
            "definition": "state",
            "location": "here",
            "epoch": 1,
        },
        "LoadModelEvent": {
            "model_name": "net",
            "definition": "state",
            "location": "here",
            "epoch": 1,
        },
        "TerminatedTrainingEvent": {**of, "epoch": 1, "reason": "no progress"},
        "EndEpochEvent": {**of, "epoch": 1},
        "EndTrainingEvent": {"source_name": "Trainer"},
        "StartTestEvent": of,
        "EndTestEvent": of,
    }
    with experiment_of(dry.bridge.BusTracker()).create_run(run_id="r"):
        for name, fields in given.items():
            getattr(dry.events, name)(**fields)
            assert type(last(sender)).__name__ == name
            assert {key: getattr(last(sender), key) for key in fields} == fields
    assert ours - set(given) == {"StartExperimentEvent", "StopExperimentEvent", "IterateBatchEvent"}


def test_a_run_has_its_start_and_its_end(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any], tmp_path: Path
) -> None:
    """A run's start carries names, time, tags and an absolute folder; its end says how it ended."""
    experiment = experiment_of(dry.bridge.BusTracker())
    with experiment.create_run() as run:
        start = last(sender)
        assert isinstance(start, events.StartExperimentEvent)
        assert (start.exp_name, start.run_id) == (experiment.name, run.id)
        assert (start.par_dir, start.run_ts, start.tags) == (tmp_path, run.created_at, ["a"])
    assert last(sender).status == "completed"
    with pytest.raises(KeyError), experiment.create_run():
        raise KeyError
    assert last(sender).status == "failed"


def test_what_is_represented_is_converted(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """Metadata is not represented again, marks become plain data, and secrets are hidden."""
    omitted, literal = dry.repr_utils.Omitted, dry.repr_utils.LiteralStr
    metadata = {
        "list": [1, 2, 3, 4, 5, omitted(10), 6, 7, 8, 9, 10],
        "unknown": (1.5, omitted()),
        "text": literal("two\nlines"),
        "set": {"one"},
        "!mark": None,
        "api_key": "abc",
        "database": "Database(user='me', password='abc')",
        "url": "https://me:abc@host/",
        "big": 2**70,
        "not unicode": "\ud800",
    }
    with experiment_of(dry.bridge.BusTracker()).create_run():
        dry.events.ActorRegistrationEvent("Trainer", TS, "net", TS, metadata)
    assert sender.of_kind("ActorRegistration")[0].metadata == {
        "list": [1, 2, 3, 4, 5, {"!omitted": 10}, 6, 7, 8, 9, 10],
        "unknown": [1.5, {"!omitted": None}],
        "text": {"!literal": "two\nlines"},
        "set": ["one"],
        "!!mark": None,
        "api_key": "***",
        "database": "Database(user='me', password=***)",
        "url": "https://me:***@host/",
        "big": str(2**70),
        "not unicode": "\\ud800",
    }


def test_any_configuration_is_taken(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A configuration that DRYTorch cannot represent, or that is too large or deep, is reported."""
    cycle: dict[str, Any] = {"lr": 0.1}
    cycle["self"] = cycle
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    large = {str(n): {str(m): "x" * 10_000 for m in range(10)} for n in range(10)}
    for config in (cycle, deep, large):
        with experiment_of(dry.bridge.BusTracker(), config).create_run():
            pass
    configs = [event.config for event in sender.of_kind("StartExperiment")]
    assert configs[0]["lr"] == 0.1
    assert "!omitted" in json.dumps(configs[1])
    assert 250_000 < len(json.dumps(configs[2])) < 400_000


def test_a_pass_is_counted_as_by_the_bar_of_drytorch(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """The last batch of a pass is reported for sure, with samples up to the data set's size."""
    with experiment_of(dry.bridge.BusTracker()).create_run():
        for processes, updates in ((1, 3), (2, 2)):
            iterating = dry.events.IterateBatchEvent("Trainer", 4, 3, 10)
            for batch in range(updates):
                iterating.update({"loss": float(batch)}, processes)
            iterating.update({"loss": 9.0}, 0)  # after it synchronised its processes
        dry.events.IterateBatchEvent("Test", None, 1, 10).update({"right": True})
    assert [event.pass_id for event in sender.of_kind("IterateBatch")] == [1, 2, 1]
    ends = [event for event in sender.of_kind("BatchProgress") if event.final]
    assert [(end.batches, end.samples, end.metrics) for end in ends] == [
        (3, 10, {"loss": 2.0}),
        (4, 10, {"loss": 1.0}),
        (1, None, {"right": 1}),
    ]


def test_few_batches_are_reported_on_the_way(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """Of a thousand batches that take no time only a few are reported, the first and the last."""
    with experiment_of(dry.bridge.BusTracker()).create_run():
        iterating = dry.events.IterateBatchEvent("Trainer", 1, 1000, 1000)
        for _ in range(1000):
            iterating.update({"loss": 1.0})
    reported = [event.batches for event in sender.of_kind("BatchProgress")]
    assert reported[0] == 1
    assert reported[-1] == 1000
    assert len(reported) < 100


@pytest.mark.parametrize("end", ["TerminatedTraining", "IterateBatch", "StopExperiment"])
def test_a_broken_pass_ends(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any], end: str
) -> None:
    """A pass that an error broke off ends before what comes next, and not a second time."""
    with experiment_of(dry.bridge.BusTracker()).create_run():
        iterating = dry.events.IterateBatchEvent("Trainer", 1, 10, 10)
        for _ in range(3):
            iterating.update({"loss": 1.0})
        if end == "TerminatedTraining":
            dry.events.TerminatedTrainingEvent("Trainer", "net", 1, "NaN")
        elif end == "IterateBatch":
            dry.events.IterateBatchEvent("Trainer", 1, 10, 10)
    iterating.update({"loss": 2.0})
    kinds = sender.kinds()
    assert kinds.count("BatchProgress") == 1
    assert kinds[kinds.index("BatchProgress") + 1] == end
    assert sender.of_kind("BatchProgress")[-1].batches == 3


def test_an_event_of_the_users_own_arrives(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A subclass is what it derives from, and a new class becomes a custom event."""
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class LateEpochEvent(dry.events.EndEpochEvent):  # type: ignore[misc]  # loaded by a fixture
        """A subclass."""

    @dataclasses.dataclass(frozen=True)
    class PruneEvent(dry.events.Event):  # type: ignore[misc]  # as above
        """A class of its own."""

        rates: list[float]

    with experiment_of(dry.bridge.BusTracker()).create_run():
        LateEpochEvent("Trainer", "net", 3)
        assert last(sender) == events.EndEpochEvent(
            source_name="Trainer", model_name="net", epoch=3
        )
        PruneEvent([0.5] * 20)
        assert last(sender).name == "Prune"
        assert last(sender).payload == {"rates": [0.5] * 5 + [{"!omitted": 10}] + [0.5] * 5}


# ---- never a trouble to DRYTorch


def test_what_cannot_be_forwarded_costs_one_warning(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """Events that are wrong are left out with one warning in a run, and later ones go on."""
    experiment = experiment_of(dry.bridge.BusTracker())
    with experiment.create_run():
        with pytest.warns(BridgeWarning, match="BusTracker cannot forward .* 'loss' must be"):
            dry.events.MetricEvent("net", "Trainer", 1, {"loss": "text"})
        dry.events.IterateBatchEvent("Trainer", 1, 1, 1).update({"loss": None})
        dry.events.MetricEvent("net", "Trainer", 2, {"loss": None})
        dry.events.MetricEvent("net", "Trainer", 3, {"loss": 1.0})
    assert [event.epoch for event in sender.of_kind("Metric")] == [3]
    assert sender.kinds()[-1] == "StopExperiment"
    assert "BusTracker" in experiment.trackers.named_trackers
    with experiment.create_run(run_id="2"), pytest.warns(BridgeWarning):
        dry.events.MetricEvent("net", "Trainer", 1, {"loss": "text"})


def test_warnings_that_are_errors_do_not_come_through(
    dry: Any,
    sender: RecordingSender,
    experiment_of: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where a process turns warnings into errors, the training still goes on."""
    messages._Said.warnings.clear()
    with experiment_of(dry.bridge.BusTracker()).create_run(), warnings.catch_warnings():
        warnings.simplefilter("error")
        dry.events.MetricEvent("net", "Trainer", 1, {"loss": "text"})
        dry.events.IterateBatchEvent("Trainer", 1, 1, 1).update({"loss": "text"})
    assert sender.of_kind("Metric") == []
    assert "drytorch: warning: BusTracker cannot forward" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_costs_a_line(
    dry: Any, sender: RecordingSender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the run's UUID cannot be kept, the run is forwarded all the same."""
    tracker = dry.bridge.BusTracker()
    (tmp_path / ".drytorch").write_text("in the way")
    with dry_published(dry, tracker):
        dry.events.StartExperimentEvent(None, "Exp", TS, "r", par_dir=tmp_path)
        dry.events.StopExperimentEvent("Exp", "r")
    assert sender.kinds() == ["StartExperiment", "StopExperiment"]
    assert "Cannot write the registry" in capsys.readouterr().err


def dry_published(dry: Any, tracker: Any) -> Any:
    """Give all events to a tracker, without an experiment."""
    dispatcher = dry.tracking.EventDispatcher("Exp")
    dispatcher.subscribe(tracker)
    patch = pytest.MonkeyPatch.context()
    publish = staticmethod(dispatcher.publish)

    class _Published:
        def __enter__(self) -> None:
            patch.__enter__().setattr(dry.events.Event, "_auto_publish", publish)

        def __exit__(self, *_error: object) -> None:
            patch.__exit__(None, None, None)

    return _Published()


@pytest.mark.parametrize(
    "wrong",
    [{"trackers": ["cvs"]}, {"trackers": [object()]}, {"broker": "nowhere"}, {"on_ful": "drop"}],
)
def test_wrong_arguments_are_refused_where_they_are_given(dry: Any, wrong: dict[str, Any]) -> None:
    """What cannot work raises in the user's own line, not later in the loop."""
    with pytest.raises(ClientError):
        dry.bridge.BusTracker(**wrong)


def test_disabled_reports_nothing(
    dry: Any, monkeypatch: pytest.MonkeyPatch, experiment_of: Callable[..., Any], tmp_path: Path
) -> None:
    """With DRYTORCH_BROKER=disabled nothing is sent, started or written."""
    monkeypatch.setenv("DRYTORCH_BROKER", "disabled")
    monkeypatch.setattr(session, "get_sender", lambda _config: pytest.fail("a sender was made"))
    with experiment_of(dry.bridge.BusTracker("csv")).create_run(run_id="r"):
        dry.events.MetricEvent("net", "Trainer", 1, {"loss": 1.0})
    assert list(tmp_path.rglob("*.uuid")) == []


# ---- runs, one after another and again


def identity_of(sender: RecordingSender) -> str:
    """Return the UUID of the run that was reported to last."""
    return sender.identities[-1].run


def test_a_resumed_run_keeps_its_uuid(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A run keeps its UUID when it is resumed, in this process or another, recorded or not."""
    experiment = experiment_of(dry.bridge.BusTracker())
    uuids: list[str] = []
    for number in range(2):  # the second one is another run
        with experiment.create_run(run_id=f"r{number}"):
            uuids.append(identity_of(sender))
        for _ in range(2):
            with experiment.create_run(run_id=f"r{number}", resume=True):
                assert sender.of_kind("StartExperiment")[-1].resumed
                assert identity_of(sender) == uuids[-1]
            dry.experimenting.Experiment.previous_runs.clear()  # as in another process
    with experiment.create_run(run_id="unrecorded", record=False):
        unrecorded = identity_of(sender)
    with experiment.create_run(run_id="unrecorded", record=False, resume=True):
        assert identity_of(sender) == unrecorded
    assert not list(experiment.par_dir.rglob("unrecorded.uuid"))
    assert len({*uuids, unrecorded}) == 3


def test_one_tracker_serves_many_experiments(
    dry: Any, sender: RecordingSender, tmp_path: Path
) -> None:
    """A default tracker forwards the runs of all experiments, one after another."""
    tracker = dry.bridge.BusTracker(CSVDumper())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dry.tracking, "DEFAULT_TRACKERS", {})
        dry.tracking.extend_default_trackers([tracker])
        for name in ("One", "Two"):
            experiment = dry.experimenting.Experiment(None, name=name, par_dir=tmp_path / name)
            with experiment.create_run():
                assert dry.bridge.BusTracker.get_current() is tracker
                assert CSVDumper.get_current() is tracker.trackers.named_trackers["CSVDumper"]
    assert [each.experiment for each in sender.identities[::2]] == ["One", "Two"]
    assert sender.kinds() == ["StartExperiment", "StopExperiment"] * 2


def test_two_bridges_on_one_run_are_two_runs(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A run that is forwarded twice has two UUIDs, and both are kept when it is resumed."""
    experiment = experiment_of(dry.bridge.BusTracker(), other=dry.bridge.BusTracker())
    with experiment.create_run(run_id="r"):
        first = [each.run for each in sender.identities]
    with experiment.create_run(run_id="r", resume=True):
        assert [each.run for each in sender.identities[-2:]] == first
    assert len(set(first)) == 2
    assert not forwarding._ACTIVE


def test_a_removed_tracker_ends_its_run_with_the_next(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A tracker that is removed within a run is as good as new for the next experiment."""
    tracker = dry.bridge.BusTracker()
    first = experiment_of(tracker)
    with first.create_run(run_id="1"):
        first.trackers.remove("BusTracker")
        dry.events.EndTrainingEvent("Trainer")
    with experiment_of(tracker).create_run(run_id="2"):
        dry.events.EndTrainingEvent("Trainer")
    start, stop = "StartExperiment", "StopExperiment"
    assert sender.kinds() == [start, stop, start, "EndTraining", stop]


def test_the_stop_of_another_run_is_not_ours(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A run that could not start, since another is active, ends nothing when it is collected."""
    with experiment_of(dry.bridge.BusTracker()).create_run(run_id="r"):
        dry.events.StopExperimentEvent("Exp", "another")
        assert sender.kinds() == ["StartExperiment"]


def test_subclasses_work(
    dry: Any, sender: RecordingSender, experiment_of: Callable[..., Any]
) -> None:
    """A subclass may override notify in DRYTorch's way, and clean up."""
    seen = []

    class Chatty(dry.bridge.BusTracker):  # type: ignore[misc]  # loaded by a fixture
        @functools.singledispatchmethod
        def notify(self, event: Any) -> None:
            super().notify(event)

        @notify.register(dry.events.MetricEvent)
        def _(self, event: Any) -> None:
            seen.append(event.epoch)
            super().notify(event)

        def clean_up(self) -> None:
            seen.append(-1)

    with experiment_of(Chatty()).create_run():
        dry.events.MetricEvent("net", "Trainer", 5, {"loss": 1.0})
        assert isinstance(Chatty.get_current(), Chatty)
    assert sender.kinds() == ["StartExperiment", "Metric", "StopExperiment"]
    assert seen == [5, -1]


def test_without_drytorch_the_extra_is_named() -> None:
    """Where DRYTorch is not installed, importing the bridge says in a sentence what to install."""
    code = "import sys; sys.modules['drytorch'] = None; import drytorch_trackers.dry_bridge"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: drytorch_trackers.dry_bridge needs drytorch, which is not installed: "
        "run pip install 'drytorch-bus[drytorch]'."
    )
