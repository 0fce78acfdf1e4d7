"""A checkpoint is whole or not there, whenever its process is killed; and what else it may hold."""

import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from drytorch_client import checkpoint_files
from drytorch_client.errors import CheckpointError, ModelNotFoundError, ModuleAlreadyRegisteredError
from drytorch_client.experiment import Experiment
from drytorch_client.model import Model

#: Every step of a save that a kill can come before, in the middle of, or after.
STEPS: list[tuple[Any, str]] = [
    (torch, "save"),
    (os, "fsync"),
    (Path, "mkdir"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "unlink"),
    (checkpoint_files, "_exchange"),
    (shutil, "rmtree"),
]


@pytest.fixture
def model(recorded: Any, tmp_path: Path) -> Iterator[Model]:
    """Return a registered model with an optimizer."""
    assert not recorded.sender.events
    net = torch.nn.Linear(64, 64)
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run(run_id="r") as run:
        yield run.register_model(net, name="net", optimizer=torch.optim.SGD(net.parameters()))


def put(model: Model, value: int) -> None:
    """Let weights and optimizer carry one value."""
    with torch.no_grad():
        model.module.weight.fill_(value)
    model.optimizer.param_groups[0]["lr"] = float(value)


def values(model: Model) -> tuple[int, float]:
    """Return the values that weights and optimizer carry."""
    return int(model.module.weight[0, 0]), model.optimizer.param_groups[0]["lr"]


def kill_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Kill this process at one of the moments of a save, counted from 0."""
    moments = itertools.count()

    def moment() -> None:
        if next(moments) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            moment()
            if real is TORCH_SAVE:  # half of the file is written
                arguments[1].write(b"half")
                moment()
                arguments[1].seek(0)
            result = real(*arguments, **options)
            moment()
            return result

        return call

    for owner, name in STEPS:
        patch.setattr(owner, name, watched(getattr(owner, name)))


TORCH_SAVE = torch.save


def killed_save(model: Model, step: int, patch: pytest.MonkeyPatch) -> bool:
    """Save in a child that is killed at a step; tell whether the save came to its end before."""
    child = os.fork()
    if child == 0:
        kill_at(step, patch)
        model.save()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("saved", "exchanges"),
    [(False, True), (True, True), (True, False)],
    ids=["first save", "again, in one step", "again, file by file"],
)
def test_a_kill_leaves_no_half_checkpoint(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    saved: bool,  # noqa: FBT001 - a parameter of the test
    exchanges: bool,  # noqa: FBT001 - as above
) -> None:
    """Wherever a save is killed, a load takes old weights and optimizer, or new ones, or none."""
    if not exchanges:
        monkeypatch.setattr(checkpoint_files, "_exchange", lambda _one, _other: False)
    if saved:
        put(model, 1)
        model.save()
    seen = set()
    for step in itertools.count():
        put(model, 2)
        done = killed_save(model, step, monkeypatch)
        put(model, 9)
        try:
            model.load()
        except ModelNotFoundError:
            seen.add((0, 0.0))
        else:
            seen.add(values(model))
        if done:
            break
        shutil.rmtree(model.checkpoints.folder.parent, ignore_errors=True)
        if saved:
            put(model, 1)
            model.save()
    assert step > 10
    old = {(1, 1.0)} if saved else {(0, 0.0)}
    gap = {(0, 0.0)} if saved and not exchanges else set()
    assert seen == {(2, 2.0)} | old | gap


def test_what_a_killed_save_left_is_removed(model: Model) -> None:
    """A later save removes parts that nobody writes any more, and nothing else."""
    run_folder = model.checkpoints.folder.parent
    for name, age in (("a" * 32, 7200), ("b" * 32, 60), ("mine", 7200)):
        part = run_folder / f".part-{name}"
        part.mkdir(parents=True)
        (part / "model_state.pt").touch()
        for path in (part / "model_state.pt", part):
            os.utime(path, (time.time() - age,) * 2)
    model.save()
    left = {path.name for path in run_folder.iterdir()}
    assert left == {"net", f".part-{'b' * 32}", ".part-mine"}


@pytest.mark.parametrize("exchanges", [True, False])
def test_other_files_of_a_checkpoint_stay(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    exchanges: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Saving again replaces the states, and leaves what a user has put beside them."""
    if not exchanges:
        monkeypatch.setattr(checkpoint_files, "_exchange", lambda _one, _other: False)
    model.save()
    folder = model.checkpoints.folder / "epoch_0"
    (folder / "notes.txt").write_text("good")
    (folder / "old_state.pt").write_text("of a module that is saved no more")
    model.save()
    assert sorted(path.name for path in folder.iterdir()) == [
        *["model_state.pt", "notes.txt", "optimizer_state.pt"]
    ]
    assert folder.stat().st_mode & 0o777 == 0o777 & ~current_umask()


def current_umask() -> int:
    """Return this process's umask."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_bound_modules_are_saved_too(model: Model) -> None:
    """Another module is saved and loaded with the model, in a file of its name."""
    average = torch.nn.Linear(64, 64)
    model.bind_module("average", average)
    for name in ("average", "model", "optimizer"):
        with pytest.raises(ModuleAlreadyRegisteredError, match=name):
            model.bind_module(name, average)
    with torch.no_grad():
        average.weight.fill_(5)
    model.save()
    assert (model.checkpoints.folder / "epoch_0" / "average_state.pt").is_file()
    with torch.no_grad():
        average.weight.fill_(6)
    model.load()
    assert average.weight[0, 0] == 5
    model.bind_module("late", average)
    with pytest.raises(CheckpointError, match="no state of late"):
        model.load()


def test_wrappers_do_not_show(model: Model) -> None:
    """A module that is compiled, or spread over devices, is saved as what it wraps."""

    class OptimizedModule(torch.nn.Module):  # as torch.compile makes it, which takes seconds
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self._orig_mod = module

    plain = torch.nn.Linear(2, 1)
    wrapped = model.run.register_model(
        OptimizedModule(torch.nn.DataParallel(plain)), name="wrapped"
    )
    wrapped.save()
    file = wrapped.checkpoints.folder / "epoch_0" / "model_state.pt"
    assert set(torch.load(file, weights_only=True)) == {"weight", "bias"}
    expected = plain.weight.clone()
    with torch.no_grad():
        plain.weight.fill_(0)
    wrapped.load()
    assert torch.equal(plain.weight, expected)


def test_numbers_of_numpy_are_loaded(model: Model) -> None:
    """An optimizer whose learning rate is a number of NumPy is loaded."""
    model.optimizer.param_groups[0]["lr"] = np.float64(0.25)
    model.save()
    put(model, 9)
    model.load()
    assert model.optimizer.param_groups[0]["lr"] == 0.25
