"""What a training loop imports: experiments, runs and the emitting side.

Each is loaded at first use: workers need the control channel only, and a run starts several.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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

_MODULES: Final = {
    "Actor": "drytorch_client.actor",
    "ClientError": "drytorch_client.errors",
    "Epoch": "drytorch_client.epoch",
    "Evaluation": "drytorch_client.epoch",
    "Experiment": "drytorch_client.experiment",
    "Model": "drytorch_client.model",
    "Run": "drytorch_client.run",
    "extend_default_trackers": "drytorch_client.defaults",
    "init_trackers": "drytorch_client.defaults",
    "remove_all_default_trackers": "drytorch_client.defaults",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what can be imported from here."""
    return sorted({*globals(), *__all__})
