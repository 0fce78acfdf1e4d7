"""Checkpoint files, laid out as DRYTorch does and written as a whole."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any, Final

from drytorch_client.errors import (
    CheckpointError,
    CheckpointWarning,
    EpochNotFoundError,
    ModelNotFoundError,
)
from drytorch_client.run_folder import safe_name

_MODEL: Final = "model_state.pt"
_OPTIMIZER: Final = "optimizer_state.pt"
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

    def save(self, epoch: int, module: Any, optimizer: Any) -> pathlib.Path:
        """Write a checkpoint, and return its folder when all files are there.

        Args:
            epoch: epochs trained so far.
            module: the module.
            optimizer: its optimizer, or None.

        Raises:
            CheckpointError: the files cannot be written.
        """
        states = {_MODEL: module.state_dict()}
        if optimizer is not None:
            states[_OPTIMIZER] = optimizer.state_dict()
        place = self.folder / f"{_EPOCH}{epoch}"
        try:
            place.mkdir(parents=True, exist_ok=True)
            _write(states, place)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise CheckpointError(
                f"Cannot save a checkpoint in {place} ({error}): check the folder and its disk."
            ) from error
        return place

    def load(self, epoch: int, module: Any, optimizer: Any) -> pathlib.Path:
        """Load a checkpoint, and return its folder.

        Args:
            epoch: the epoch at which it was saved.
            module: the module.
            optimizer: its optimizer, or None.

        Raises:
            ModelNotFoundError: the model has no checkpoint.
            EpochNotFoundError: it has none of this epoch.
            CheckpointError: the files cannot be read.
        """
        import torch

        place = self.folder / f"{_EPOCH}{epoch}"
        if not self.folder.is_dir():
            raise ModelNotFoundError(f"There is no checkpoint in {self.folder}: save one first.")
        if not (place / _MODEL).is_file():
            raise EpochNotFoundError(
                f"There is no checkpoint of epoch {epoch} in {self.folder}: choose another epoch."
            )
        device = next((each.device for each in module.parameters()), None)
        options: Mapping[str, Any] = {"map_location": device, "weights_only": True}
        try:
            module.load_state_dict(torch.load(place / _MODEL, **options))
            if optimizer is not None:
                self._load_optimizer(torch.load, place, optimizer, options)
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
            for file in self.folder.glob(f"{_EPOCH}*/{_MODEL}")
            if file.parent.name.removeprefix(_EPOCH).isdecimal()
        )
        newest = max(saved, key=_changed, default=None)
        if newest is None:
            raise ModelNotFoundError(f"There is no checkpoint in {self.folder}: save one first.")
        return int(newest.parent.name.removeprefix(_EPOCH))

    @staticmethod
    def _load_optimizer(
        load: Any, place: pathlib.Path, optimizer: Any, options: Mapping[str, Any]
    ) -> None:
        try:
            optimizer.load_state_dict(load(place / _OPTIMIZER, **options))
        except (FileNotFoundError, ValueError) as error:
            warnings.warn(
                CheckpointWarning(f"The optimizer's state in {place} was not loaded: {error}."),
                stacklevel=5,
            )


def _write(states: Mapping[str, Any], place: pathlib.Path) -> None:
    """Write all files beside their place, then move them there, the model's last."""
    import torch

    part = pathlib.Path(tempfile.mkdtemp(prefix=".part-", dir=place))
    try:
        for name, state in states.items():
            with (part / name).open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        for name in sorted(states, reverse=True):
            (part / name).replace(place / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _changed(file: pathlib.Path) -> float:
    return max(each.stat().st_ctime for each in file.parent.iterdir())
