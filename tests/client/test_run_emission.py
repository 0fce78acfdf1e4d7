"""What a run reports, in which order."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.utils.data import DataLoader, TensorDataset

from drytorch_client import Experiment
from drytorch_client.errors import (
    EpochsError,
    InactiveRunError,
    ModelNotRegisteredError,
    ModuleAlreadyRegisteredError,
    RunWarning,
    TrainingWarning,
)
from drytorch_client.run import Run
from drytorch_schemas import events
from recording import Recorded

pytestmark = pytest.mark.usefixtures("recorded")


@pytest.fixture
def run(tmp_path: Path) -> Run[Any]:
    """Return a run that was not started."""
    return Experiment({"lr": 0.1}, name="Exp", par_dir=tmp_path).create_run(run_id="r")


def test_order_of_a_whole_training(recorded: Recorded, run: Run[Any]) -> None:
    """Registrations come at first use, and everything else where DRYTorch has it."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1), name="net")
        trainer = run.register_actor(name="Trainer", model=model)
        validator = run.register_actor(name="Validator", model=model)
        tester = run.register_actor(name="Test", model=model)
        for epoch in trainer.training(n_epochs=2):
            for _ in epoch.batches([1, 2]):
                epoch.progress(loss=1.0)
            epoch.log(loss=1.0)
            with validator.validation() as check:
                for _ in check.batches([1]):
                    pass
                check.log(loss=2.0)
        with tester.testing() as test:
            for _ in test.batches([1]):
                pass
            test.log(loss=3.0)
    one_pass = ["IterateBatch", "BatchProgress", "Metric"]
    assert recorded.sender.kinds() == [
        *["StartExperiment", "ModelRegistration", "StartTraining"],
        *["StartEpoch", "ActorRegistration", *one_pass],
        *["ActorRegistration", *one_pass, "EndEpoch"],
        *["StartEpoch", *one_pass, *one_pass, "EndEpoch", "EndTraining"],
        *["StartTest", "ActorRegistration", *one_pass, "EndTest"],
        "StopExperiment",
    ]
    assert [event.epoch for event in recorded.sender.of_kind("Metric")] == [1, 1, 2, 2, 2]
    assert [event.actor_name for event in recorded.sender.of_kind("ActorRegistration")] == [
        "Trainer",
        "Validator",
        "Test",
    ]


def test_fields_of_start_and_stop(recorded: Recorded, tmp_path: Path) -> None:
    """The run's start carries config, tags and an absolute folder, its stop status and summary."""
    experiment = Experiment({"lr": 0.1}, name="Exp", par_dir=tmp_path / "out", tags=["a"])
    with experiment.create_run(run_id="r") as run:
        run.summary["best"] = torch.tensor(0.5)
        run.summary["password"] = "hunter2"  # noqa: S105 - to be hidden
    start, stop = recorded.sender.events
    assert isinstance(start, events.StartExperimentEvent)
    assert (start.config, start.tags, start.par_dir) == ({"lr": 0.1}, ["a"], tmp_path / "out")
    assert (start.run_id, start.resumed, start.run_ts) == ("r", False, run.created_at)
    assert isinstance(stop, events.StopExperimentEvent)
    assert (stop.status, stop.summary) == ("completed", {"best": 0.5, "password": "***"})


def test_breaking_out_ends_the_training(recorded: Recorded, run: Run[Any]) -> None:
    """A `break` ends epoch and training before whatever the run reports next."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        trainer = run.register_actor(name="Trainer", model=model)
        for epoch in trainer.training(n_epochs=5):
            epoch.log(loss=1.0)
            if epoch.number == 2:
                break
        run.log({"hours": 1.5})
    assert recorded.sender.kinds()[-5:] == [
        *["Metric", "EndEpoch", "EndTraining"],
        *["Metric", "StopExperiment"],
    ]


def test_an_error_ends_nothing(recorded: Recorded, run: Run[Any]) -> None:
    """An error in an epoch leaves epoch and training open, closes the bar, and fails the run."""
    with pytest.raises(RuntimeError, match="diverged"), run:  # noqa: PT012 - a whole training
        model = run.register_model(torch.nn.Linear(1, 1))
        trainer = run.register_actor(name="Trainer", model=model)
        for epoch in trainer.training(n_epochs=5):
            for _ in epoch.batches([1, 2]):
                trainer.terminate("loss is NaN")
                raise RuntimeError("diverged")
    kinds = recorded.sender.kinds()
    assert kinds[-4:] == ["IterateBatch", "TerminatedTraining", "BatchProgress", "StopExperiment"]
    assert recorded.sender.of_kind("StopExperiment")[0].status == "failed"


def test_termination_ends_after_the_epoch(recorded: Recorded, run: Run[Any]) -> None:
    """A terminated training finishes its epoch, and is never taken up again."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        trainer = run.register_actor(name="Trainer", model=model)
        for epoch in trainer.training(n_epochs=5):
            if epoch.number == 2:
                trainer.terminate("enough")
        with pytest.warns(TrainingWarning, match="was terminated"):
            assert list(trainer.training(n_epochs=1)) == []
    assert recorded.sender.kinds()[-4:-1] == ["TerminatedTraining", "EndEpoch", "EndTraining"]
    assert recorded.sender.of_kind("TerminatedTraining")[0].epoch == 2


def test_numbers_of_epochs(recorded: Recorded, run: Run[Any]) -> None:
    """`n_epochs` adds to what was trained, `until` counts in total, and neither may be missing."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        trainer = run.register_actor(name="Trainer", model=model)
        assert [epoch.number for epoch in trainer.training(n_epochs=2)] == [1, 2]
        assert [epoch.number for epoch in trainer.training(until=3)] == [3]
        assert list(trainer.training(until=3)) == []
        with pytest.warns(TrainingWarning, match="3 epochs already"):
            assert list(trainer.training(until=2)) == []
        for bad in ({}, {"n_epochs": 1, "until": 5}, {"n_epochs": -1}):
            with pytest.raises(EpochsError):
                list(trainer.training(**bad))
    starts = [
        (each.start_epoch, each.end_epoch) for each in recorded.sender.of_kind("StartTraining")
    ]
    assert starts == [(0, 2), (2, 3)]


@pytest.mark.parametrize(
    ("loader", "sizes"),
    [
        ([1, 2, 3], (None, 3, None)),
        (iter([1, 2, 3]), (None, None, None)),
        (DataLoader(TensorDataset(torch.zeros(10)), batch_size=4), (4, 3, 10)),
        (DataLoader(TensorDataset(torch.zeros(10)), batch_size=None), (None, 10, 10)),
    ],
)
def test_sizes_of_loaders(
    recorded: Recorded, run: Run[Any], loader: Any, sizes: tuple[int | None, ...]
) -> None:
    """A DataLoader tells its sizes, a list its length, an iterator nothing."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        with run.register_actor(model=model).validation() as check:
            count = len([batch for batch in check.batches(loader)])  # noqa: C416 - as a loop would
    begun = recorded.sender.of_kind("IterateBatch")[0]
    assert (begun.batch_size, begun.n_iter, begun.dataset_size) == sizes
    last = recorded.sender.of_kind("BatchProgress")[-1]
    assert (last.final, last.batches) == (True, count)
    assert last.samples == (None if sizes[0] is None else 10)


def test_live_progress_is_rare(recorded: Recorded, run: Run[Any]) -> None:
    """A fast pass reports little while it is under way, and its last state in any case."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        with run.register_actor(model=model).validation() as check:
            for number in check.batches(range(20_000)):
                check.progress(loss=number)
    progress = recorded.sender.of_kind("BatchProgress")
    assert len(progress) < 100
    assert [event.final for event in progress] == [False] * (len(progress) - 1) + [True]
    assert (progress[-1].batches, progress[-1].metrics) == (20_000, {"loss": 19_999})


def test_passes_are_counted(recorded: Recorded, run: Run[Any]) -> None:
    """Each pass of a source has a number of its own, also one that is begun again."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        actor = run.register_actor(model=model)
        with actor.validation() as check:
            batches = check.batches([1, 2])
            assert len(batches) == 2
            assert list(batches) == list(batches) == [1, 2]
    assert [event.pass_id for event in recorded.sender.of_kind("IterateBatch")] == [1, 2]


def test_progress_keeps_no_graph(run: Run[Any]) -> None:
    """A tensor given to progress is detached, so that it keeps no graph alive."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        with run.register_actor(model=model).validation() as check:
            batches = check.batches([1])
            for _ in batches:
                check.progress(loss=torch.ones(1, requires_grad=True).sum() * 2)
                assert not batches._latest["loss"].requires_grad


@pytest.mark.parametrize("value", ["1.0", True, None, torch.zeros(2)])
def test_wrong_metrics_raise_in_the_users_line(run: Run[Any], value: Any) -> None:
    """A value that is no number is refused where it is given (A25)."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        with run.register_actor(model=model).validation() as check:
            with pytest.raises(TypeError):
                check.progress(loss=value)
            with pytest.raises(ValidationError):
                check.log(loss=value)
            with pytest.raises(ValidationError):
                run.log({"loss": value})


def test_steps_count_up_by_source(recorded: Recorded, run: Run[Any]) -> None:
    """Without a step, `run.log` counts up for each source, and goes on from a given one."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1), name="net")
        run.log({"a": 1})
        run.log({"a": 1})
        run.log({"a": 1}, step=7)
        run.log({"a": 1})
        run.log({"b": 1}, source="other", model=model)
    logged = [(e.model_name, e.source_name, e.step) for e in recorded.sender.of_kind("Metric")]
    assert logged == [
        *[("run", "run", 0), ("run", "run", 1), ("run", "run", 7), ("run", "run", 8)],
        ("net", "other", 0),
    ]


def test_metric_names_are_free(recorded: Recorded, run: Run[Any]) -> None:
    """Names that are none of Python's, or are arguments of ours, are names of metrics."""
    metrics = {"bad)name%s": 1, "self": 2, "": 3.5}
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        with run.register_actor(model=model).validation() as check:
            check.progress(**metrics)
            check.log(**metrics)
    assert recorded.sender.of_kind("Metric")[0].metrics == metrics


def test_names_are_counted_by_run(tmp_path: Path) -> None:
    """Repeated names of models and of actors get numbers, and begin anew in the next run."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    for run_id in ("a", "b"):
        with experiment.create_run(run_id=run_id) as run:
            models = [run.register_model(torch.nn.Linear(1, 1)) for _ in range(2)]
            actors = [run.register_actor(name="T", model=models[0]) for _ in range(2)]
            assert [each.name for each in models] == ["Linear", "Linear_1"]
            assert [each.name for each in actors] == ["T", "T_1"]


def test_a_module_is_registered_once(run: Run[Any], tmp_path: Path) -> None:
    """The same module twice, and a model of another run, are refused."""
    other = Experiment(None, name="Other", par_dir=tmp_path).create_run()
    net = torch.nn.Linear(1, 1)
    with other:
        strange = other.register_model(net)
    with run:
        run.register_model(net)
        with pytest.raises(ModuleAlreadyRegisteredError):
            run.register_model(net)
        with pytest.raises(ModelNotRegisteredError):
            run.register_actor(model=strange)


def test_learning_rates(recorded: Recorded, run: Run[Any]) -> None:
    """A new learning rate is reported for the source that trained the model, also by group."""
    with run:
        model = run.register_model(torch.nn.Linear(1, 1), name="net")
        model.update_learning_rate(1)
        for _ in run.register_actor(name="Trainer", model=model).training(n_epochs=1):
            model.update_learning_rate({"a": 0.5}, scheduler_name="cosine")
    first, second = recorded.sender.of_kind("LearningRate")
    assert (first.source_name, first.base_lr, first.epoch) == ("net", 1.0, 0)
    assert (second.source_name, second.base_lr) == ("Trainer", {"a": 0.5})
    assert second.scheduler_name == "cosine"


def test_a_broken_repr_does_not_stop_a_training(recorded: Recorded, run: Run[Any]) -> None:
    """A module whose repr raises is registered under its class's name."""

    class Broken(torch.nn.Module):
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with run:
        run.register_model(Broken())
    assert recorded.sender.of_kind("ModelRegistration")[0].architecture_repr == "Broken"


def test_reports_outside_the_run_are_refused(run: Run[Any]) -> None:
    """Before its start and after its stop a run takes no report, and says what to do (A22)."""
    with pytest.raises(InactiveRunError, match="was not started"):
        run.log({"a": 1})
    with run:
        model = run.register_model(torch.nn.Linear(1, 1))
        actor = run.register_actor(model=model)
    for report in (
        lambda: run.log({"a": 1}),
        lambda: run.emit(events.EndTrainingEvent(source_name="x")),
        lambda: run.register_model(torch.nn.Linear(1, 1)),
        lambda: actor.terminate("late"),
        model.save,
        run.start,
    ):
        with pytest.raises(InactiveRunError, match="is over"):
            report()
    with pytest.warns(RunWarning, match="over already"):
        run.stop()


def test_starting_twice_is_harmless(recorded: Recorded, run: Run[Any]) -> None:
    """A second start, and a stop before any start, only warn."""
    with pytest.warns(RunWarning, match="not started"):
        run.stop()
    with run, pytest.warns(RunWarning, match="running already"):
        run.start()
    assert recorded.sender.kinds() == ["StartExperiment", "StopExperiment"]
