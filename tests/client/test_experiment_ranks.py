"""Ranks: who reports, and what only rank 0 does. Real process groups are in the system tests."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._C._distributed_c10d import HashStore

from drytorch_client import ranks
from drytorch_client.errors import (
    FirstRankError,
    OptionError,
    RanksWarning,
    RunAlreadyRecordedError,
)
from drytorch_client.experiment import Experiment
from recording import Recorded


class Group:
    """Stands for torch.distributed in one of its ranks."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def get_rank(self) -> int:
        """Return the rank."""
        return self._rank


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes this process a rank of a group with one store."""
    store = HashStore()
    monkeypatch.setattr(ranks, "_store", lambda: store)

    def become(rank: int) -> None:
        monkeypatch.setattr(ranks, "_process_group", lambda: Group(rank))

    return become


def test_other_ranks_are_mute(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A rank other than 0 reports nothing by default, is not recorded, and saves nothing."""
    monkeypatch.setenv("RANK", "1")
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run(run_id="r") as run:
        run.register_model(torch.nn.Linear(1, 1)).save()
    assert recorded.sender.events == []
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_all_ranks_report_one_run(recorded: Recorded, tmp_path: Path, as_rank: Any) -> None:
    """Every rank reports under one id and UUID; start, stop, workers and files are rank 0's."""
    as_rank(0)
    experiment = Experiment(None, name="Exp", par_dir=tmp_path, ranks="all")
    experiment.trackers.subscribe("csv")
    with experiment.create_run() as first:
        pass
    assert recorded.sender.kinds() == ["StartExperiment", "StopExperiment"]
    workers = len(recorded.supervisor.specs)
    assert workers
    before = sorted(tmp_path.rglob("*"))
    as_rank(1)
    recorded.forget_names()  # another process
    elsewhere = Experiment(None, name="Exp", par_dir=tmp_path, ranks="all")
    with elsewhere.create_run() as second:
        model = second.register_model(torch.nn.Linear(1, 1))
        for epoch in second.register_actor(model=model).training(n_epochs=5):
            epoch.log(loss=1.0)
            break
    assert (second.id, second.identity.run) == (first.id, first.identity.run)
    assert recorded.sender.kinds()[2:] == [
        *["ModelRegistration", "StartTraining", "StartEpoch", "ActorRegistration", "Metric"],
        *["EndEpoch", "EndTraining"],
    ]
    assert [identity.rank for identity in recorded.sender.identities] == [0, 0] + [1] * 7
    assert len(recorded.supervisor.specs) == workers
    assert sorted(tmp_path.rglob("*")) == before


def test_an_error_of_rank_0_reaches_all(recorded: Recorded, tmp_path: Path, as_rank: Any) -> None:
    """A run that rank 0 cannot make is refused in the other ranks, which would wait for ever."""
    as_rank(0)
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    experiment.create_run(run_id="a")
    with pytest.raises(RunAlreadyRecordedError):
        experiment.create_run(run_id="a")
    as_rank(1)
    recorded.forget_names()  # another process
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    assert experiment.create_run(run_id="a").id == "a"
    with pytest.raises(FirstRankError, match=r"RunAlreadyRecordedError: .*has a run a already"):
        experiment.create_run(run_id="a")


def test_ranks_without_a_group(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank that is to report, but cannot learn of rank 0's run, says what to do."""
    monkeypatch.setenv("RANK", "1")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path, ranks="all")
    with pytest.warns(RanksWarning, match=r"initialise torch\.distributed"):
        run = experiment.create_run()
    with run:
        run.log({"loss": 1.0})
    assert recorded.sender.kinds() == ["Metric"]


@pytest.mark.parametrize("wrong", ["1", 0, "ALL", None])
def test_wrong_ranks_are_refused(tmp_path: Path, wrong: Any) -> None:
    """Only `0` and `all` say who reports."""
    with pytest.raises(OptionError, match="use one of 0, all"):
        Experiment(None, name="Exp", par_dir=tmp_path, ranks=wrong)
