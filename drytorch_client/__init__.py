"""What a training loop imports: experiments, runs and the emitting side."""

from drytorch_client.actor import Actor
from drytorch_client.defaults import (
    extend_default_trackers,
    init_trackers,
    remove_all_default_trackers,
)
from drytorch_client.epoch import Epoch, Evaluation
from drytorch_client.errors import ClientError
from drytorch_client.experiment import Experiment
from drytorch_client.model import Model
from drytorch_client.run import Run

__all__ = [
    # experiments and what they consist of
    "Actor",
    "ClientError",
    "Epoch",
    "Evaluation",
    "Experiment",
    "Model",
    "Run",
    # trackers that every experiment starts with
    "extend_default_trackers",
    "init_trackers",
    "remove_all_default_trackers",
]
