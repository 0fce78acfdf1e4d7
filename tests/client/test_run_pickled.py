"""A run that is handed to another process: it reports under the same run, and never ends it."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from drytorch_client import scope
from drytorch_client.actor import Actor
from drytorch_client.errors import InactiveRunError
from drytorch_client.experiment import Experiment
from drytorch_client.run import Run
from recording import Recorded


def test_a_copy_reports_under_the_run(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives in a child is the active run there, with its models and actors."""
    experiment = Experiment({"lr": 1}, name="Exp", par_dir=tmp_path, tags=["a"])
    experiment.trackers.subscribe(mine="memory")
    with experiment.create_run(run_id="r") as run:
        model = run.register_model(torch.nn.Linear(1, 1), name="net")
        trainer = run.register_actor(name="Trainer", model=model)
        data = pickle.dumps(trainer)
        monkeypatch.setattr(scope._SCOPE, "run", None)  # as in another process
        recorded.sender.events.clear()
        copied: Actor = pickle.loads(data)  # noqa: S301 - as multiprocessing does
        assert Experiment.get_config() == {"lr": 1}
        assert Experiment.get_current().run is copied.run
        assert copied.run.experiment.trackers.names == []
        assert not recorded.sender.listeners[1:]  # nothing is opened before it is needed
        run_there: Run[Any] = copied.run
        with run_there as entered, copied.validation() as check:
            entered.log({"a": 1})
            check.log(loss=1.0)
        assert recorded.sender.kinds() == ["ActorRegistration", "Metric", "Metric"]
        assert set(recorded.sender.identities) == {run.identity}
        copied.run.log({"a": 2})
        assert recorded.sender.of_kind("Metric")[-1].step == 1
        monkeypatch.setattr(scope._SCOPE, "run", run)
    assert experiment.registry.load()[0]["status"] == "completed"


def test_a_copy_of_a_run_that_is_over(recorded: Recorded, tmp_path: Path) -> None:
    """A run that was not started, or is over, is that in the other process as well."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    run = experiment.create_run(run_id="r")
    with pytest.raises(InactiveRunError, match="not started"):
        pickle.loads(pickle.dumps(run)).log({"a": 1})  # noqa: S301 - as above
    with run:
        pass
    with pytest.raises(InactiveRunError):
        pickle.loads(pickle.dumps(run)).log({"a": 1})  # noqa: S301 - as above
    assert recorded.sender.kinds() == ["StartExperiment", "StopExperiment"]
