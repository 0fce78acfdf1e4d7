"""Checkpoint files, laid out as DRYTorch does and written as a whole."""

from __future__ import annotations

import codecs
import functools
import pathlib
import sys
import warnings
from collections.abc import Mapping
from typing import Any, Final

from drytorch_client.checkpoint_files import STATE, write_folder
from drytorch_client.errors import (
    CheckpointError,
    CheckpointWarning,
    EpochNotFoundError,
    ModelNotFoundError,
)
from drytorch_client.run_folder import safe_name

#: Name of the model's own module among those of a checkpoint.
MODEL: Final = "model"
#: Name that no module may have: the optimizer's file is called like that.
OPTIMIZER: Final = "optimizer"
_OPTIMIZER: Final = f"{OPTIMIZER}{STATE}"
_EPOCH: Final = "epoch_"


class Checkpoints:
    """The checkpoints of one model in one run: `<run folder>/<model>/epoch_<n>/*.pt`.

    Attributes:
        folder: the model's folder.
    """

    def __init__(self, run_folder: pathlib.Path, model: str) -> None:
        """Initialize.

        Args:
            run_folder: the run's folder of checkpoints.
            model: name of the model.
        """
        self.folder: Final = run_folder / safe_name(model)

    def save(self, epoch: int, modules: Mapping[str, Any], optimizer: Any) -> pathlib.Path:
        """Write a checkpoint, and return its folder when all files are there.

        Args:
            epoch: epochs trained so far.
            modules: the modules by name; the first one is the model's own.
            optimizer: its optimizer, or None.

        Raises:
            CheckpointError: the files cannot be written.
        """
        import torch

        states = {_file(name): plain_module(each).state_dict() for name, each in modules.items()}
        if optimizer is not None:
            states[_OPTIMIZER] = optimizer.state_dict()
        files = {name: functools.partial(torch.save, state) for name, state in states.items()}
        place = self.folder / f"{_EPOCH}{epoch}"
        try:
            write_folder(files, place, self.folder.parent)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise CheckpointError(
                f"Cannot save a checkpoint in {place} ({error}): check the folder and its disk."
            ) from error
        return place

    def load(self, epoch: int, modules: Mapping[str, Any], optimizer: Any) -> pathlib.Path:
        """Load a checkpoint, and return its folder.

        Args:
            epoch: the epoch at which it was saved.
            modules: the modules by name; the first one is the model's own.
            optimizer: its optimizer, or None.

        Raises:
            ModelNotFoundError: the model has no checkpoint.
            EpochNotFoundError: it has none of this epoch.
            CheckpointError: the files cannot be read, or fit none of the modules.
        """
        place = self.folder / f"{_EPOCH}{epoch}"
        if not self.folder.is_dir():
            raise ModelNotFoundError(f"There is no checkpoint in {self.folder}: save one first.")
        if not (place / _file(MODEL)).is_file():
            raise EpochNotFoundError(
                f"There is no checkpoint of epoch {epoch} in {self.folder}: choose another epoch."
            )
        for name in modules:
            if not (place / _file(name)).is_file():
                raise CheckpointError(f"The checkpoint in {place} holds no state of {name}.")
        first = next(iter(modules.values()))
        device = next((each.device for each in first.parameters()), None)
        try:
            for name, module in modules.items():
                plain_module(module).load_state_dict(_read(place / _file(name), device))
            if optimizer is not None:
                _load_optimizer(place / _OPTIMIZER, device, optimizer)
        except Exception as error:  # what torch raises for a damaged file is not documented
            raise CheckpointError(
                f"Cannot load the checkpoint in {place} ({type(error).__name__}: {error})."
            ) from error
        return place

    def last_epoch(self) -> int:
        """Return the epoch of the checkpoint whose files are the newest.

        Raises:
            ModelNotFoundError: the model has no checkpoint.
        """
        saved = (
            file
            for file in self.folder.glob(f"{_EPOCH}*/{_file(MODEL)}")
            if file.parent.name.removeprefix(_EPOCH).isdecimal()
        )
        newest = max(saved, key=_changed, default=None)
        if newest is None:
            raise ModelNotFoundError(f"There is no checkpoint in {self.folder}: save one first.")
        return int(newest.parent.name.removeprefix(_EPOCH))


def plain_module(module: Any) -> Any:
    """Return the module that a wrapper of torch's for several processes, or a compiled one, holds.

    Args:
        module: any module.
    """
    torch = sys.modules.get("torch")
    parallel = getattr(getattr(torch, "nn", None), "parallel", None)
    wrappers = (
        getattr(parallel, "DistributedDataParallel", None),
        getattr(parallel, "DataParallel", None),
    )
    while True:
        if any(wrapper is not None and isinstance(module, wrapper) for wrapper in wrappers):
            module = module.module
        elif type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod"):
            module = module._orig_mod  # noqa: SLF001 - torch has no public way to what it compiled
        else:
            return module


def _file(module: str) -> str:
    return f"{safe_name(module)}{STATE}"


def _read(file: pathlib.Path, device: Any) -> Any:
    """Read a file of states: tensors, plain data, and numbers of NumPy, never code."""
    import torch

    with torch.serialization.safe_globals(_numpy_types()):
        return torch.load(file, map_location=device, weights_only=True)


def _numpy_types() -> list[Any]:
    """Return what a number of NumPy, a learning rate for example, needs to be read."""
    try:
        import numpy as np
        from numpy._core.multiarray import scalar
    except ImportError:  # no NumPy, or an older one, whose numbers then are refused
        return []
    names = [name for name in np.dtypes.__all__ if name not in {"ObjectDType", "VoidDType"}]
    types = [getattr(np.dtypes, name) for name in names]
    return [scalar, np.dtype, codecs.encode, *types]


def _load_optimizer(file: pathlib.Path, device: Any, optimizer: Any) -> None:
    try:
        optimizer.load_state_dict(_read(file, device))
    except (FileNotFoundError, ValueError) as error:
        warnings.warn(
            CheckpointWarning(f"The optimizer's state in {file.parent} was not loaded: {error}."),
            stacklevel=4,
        )


def _changed(file: pathlib.Path) -> float:
    return max(each.stat().st_ctime for each in file.parent.iterdir())
