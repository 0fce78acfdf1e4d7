"""Checkpoints: DRYTorch's files, whole or not at all, and reported when they exist."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from drytorch_client.errors import (
    CheckpointError,
    CheckpointWarning,
    EpochNotFoundError,
    ModelNotFoundError,
)
from drytorch_client.experiment import Experiment
from drytorch_client.model import Model
from drytorch_client.run import Run
from recording import Recorded

RUN_ID = "2026-01-02@03h04m05s"


@pytest.fixture
def run(recorded: Recorded, tmp_path: Path) -> Iterator[Run[Any]]:
    """Return an active run."""
    assert not recorded.sender.events
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run(run_id=RUN_ID) as run:
        yield run


def model_with_optimizer(run: Run[Any], name: str = "net") -> Model:
    """Return a registered model with an optimizer that has a state."""
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.5)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return run.register_model(net, name=name, optimizer=optimizer)


def test_files_lie_where_drytorch_puts_them(
    recorded: Recorded, run: Run[Any], tmp_path: Path
) -> None:
    """A checkpoint has DRYTorch's folder and files, and nothing else is left there."""
    model = model_with_optimizer(run)
    model.epoch = 3
    model.save()
    model.save()
    folder = tmp_path / "checkpoints/Exp/2026-01-02/03h04m05s/net/epoch_3"
    assert {file.name for file in folder.iterdir()} == {"model_state.pt", "optimizer_state.pt"}
    saved = recorded.sender.of_kind("SaveModel")[-1]
    assert (saved.location, saved.definition, saved.epoch) == (str(folder), "checkpoint", 3)
    state = torch.load(folder / "model_state.pt", weights_only=True)
    assert torch.equal(state["weight"], model.module.weight)


def test_load_brings_everything_back(recorded: Recorded, run: Run[Any]) -> None:
    """Weights, optimizer and epoch come back, of the last checkpoint or of a given one."""
    model = model_with_optimizer(run)
    for epoch in (1, 2):
        model.epoch = epoch
        with torch.no_grad():
            model.module.weight.fill_(epoch)
        model.save()
    model.optimizer.param_groups[0]["lr"] = 9.0
    model.load(epoch=1)
    assert (model.epoch, model.module.weight[0, 0].item()) == (1, 1.0)
    assert model.optimizer.param_groups[0]["lr"] == 0.5
    model.load()
    assert (model.epoch, model.module.weight[0, 0].item()) == (2, 2.0)
    assert [event.epoch for event in recorded.sender.of_kind("LoadModel")] == [1, 2]


def test_the_newest_files_are_the_last_checkpoint(run: Run[Any]) -> None:
    """The last checkpoint is the one written last, not the one of the highest epoch."""
    model = model_with_optimizer(run)
    for epoch in (5, 3):
        model.epoch = epoch
        model.save()
    (model.checkpoints.folder / "epoch_best").mkdir()
    (model.checkpoints.folder / "epoch_best" / "model_state.pt").touch()
    assert model.checkpoints.last_epoch() == 3


def test_without_an_optimizer(recorded: Recorded, run: Run[Any]) -> None:
    """A model without an optimizer saves its state alone, and a missing one only warns."""
    net = torch.nn.Linear(1, 1)
    model = run.register_model(net, name="net")
    model.save()
    assert [file.name for file in (model.checkpoints.folder / "epoch_0").iterdir()] == [
        "model_state.pt"
    ]
    assert recorded.sender.of_kind("SaveModel")[0].definition == "state"
    model.optimizer = torch.optim.SGD(net.parameters())
    with pytest.warns(CheckpointWarning, match="optimizer's state"):
        model.load()


def test_missing_checkpoints(recorded: Recorded, run: Run[Any]) -> None:
    """A model, or an epoch, without a checkpoint is named, and nothing is reported."""
    model = model_with_optimizer(run)
    for epoch in (-1, 1):
        with pytest.raises(ModelNotFoundError, match="save one first"):
            model.load(epoch)
    model.save()
    with pytest.raises(EpochNotFoundError, match="epoch 7"):
        model.load(epoch=7)
    assert not recorded.sender.of_kind("LoadModel")
    assert model.epoch == 0


def test_a_damaged_checkpoint(recorded: Recorded, run: Run[Any]) -> None:
    """A damaged file is named in one error, and nothing is reported."""
    model = model_with_optimizer(run)
    model.save()
    (model.checkpoints.folder / "epoch_0" / "model_state.pt").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="epoch_0"):
        model.load()
    assert not recorded.sender.of_kind("LoadModel")


def test_a_failed_save_leaves_the_old_files(
    recorded: Recorded, run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs the new checkpoint only: the old one stays, and nothing is reported."""
    model = model_with_optimizer(run)
    model.save()
    before = {file.name: file.read_bytes() for file in _files(model)}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        model.save()
    assert {file.name: file.read_bytes() for file in _files(model)} == before
    assert len(recorded.sender.of_kind("SaveModel")) == 1


def _files(model: Model) -> list[Path]:
    return sorted((model.checkpoints.folder / "epoch_0").iterdir())


@pytest.mark.parametrize("name", ["a/b", "..", ".", "%2F", "a\\b", "\n"])
def test_odd_names_stay_in_the_folder(run: Run[Any], tmp_path: Path, name: str) -> None:
    """A model's name never leads out of the run's folder, and two names never meet."""
    names = (name, "a%2Fb", "plain")
    for number, each in enumerate(names):
        model = run.register_model(torch.nn.Linear(1, 1), name=each)
        with torch.no_grad():
            model.module.bias.fill_(number)
        model.save()
        folder = model.checkpoints.folder.resolve()
        assert folder.parent == tmp_path / "checkpoints/Exp/2026-01-02/03h04m05s"
        model.load()
        assert model.module.bias.item() == number
