"""Events about saved and loaded models."""

from __future__ import annotations

from drytorch_schemas.events.base import Event, Int, Name


class SaveModelEvent(Event):
    """A checkpoint was saved: its files exist.

    Attributes:
        model_name: name of the model.
        definition: `checkpoint` with an optimizer, else `state`.
        location: folder of the files.
        epoch: epochs that the model was trained.
    """

    model_name: Name
    definition: str
    location: str
    epoch: Int


class LoadModelEvent(Event):
    """A checkpoint was loaded.

    Attributes:
        model_name: name of the model.
        definition: `checkpoint` with an optimizer, else `state`.
        location: folder of the files.
        epoch: the epoch at which the model was saved.
    """

    model_name: Name
    definition: str
    location: str
    epoch: Int
