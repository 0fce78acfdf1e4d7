"""Trackers, and the workers that feed them.

Each class is loaded at first use: a tracker's backend must not cost those who do not use it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from drytorch_client.errors import TrackerNotUsedError
    from drytorch_trackers.base import Delivery, Tracker, TrackerContext
    from drytorch_trackers.console import BuiltinLogger
    from drytorch_trackers.csv_file import CSVDumper
    from drytorch_trackers.errors import TrackerError, TrackersError
    from drytorch_trackers.loading import MetricLoader
    from drytorch_trackers.memory import MemoryTracker
    from drytorch_trackers.progress_bar import TqdmLogger
    from drytorch_trackers.sql_database import SQLConnection
    from drytorch_trackers.yaml_format import Omitted, read_yaml
    from drytorch_trackers.yaml_metadata import YamlDumper

__all__ = [
    "BuiltinLogger",
    "CSVDumper",
    "Delivery",
    "MemoryTracker",
    "MetricLoader",
    "Omitted",
    "SQLConnection",
    "TqdmLogger",
    "Tracker",
    "TrackerContext",
    "TrackerError",
    "TrackerNotUsedError",
    "TrackersError",
    "YamlDumper",
    "read_yaml",
]

_MODULES: Final = {
    "BuiltinLogger": "drytorch_trackers.console",
    "CSVDumper": "drytorch_trackers.csv_file",
    "Delivery": "drytorch_trackers.base",
    "MemoryTracker": "drytorch_trackers.memory",
    "MetricLoader": "drytorch_trackers.loading",
    "Omitted": "drytorch_trackers.yaml_format",
    "SQLConnection": "drytorch_trackers.sql_database",
    "TqdmLogger": "drytorch_trackers.progress_bar",
    "Tracker": "drytorch_trackers.base",
    "TrackerContext": "drytorch_trackers.base",
    "TrackerError": "drytorch_trackers.errors",
    "TrackerNotUsedError": "drytorch_client.errors",
    "TrackersError": "drytorch_trackers.errors",
    "YamlDumper": "drytorch_trackers.yaml_metadata",
    "read_yaml": "drytorch_trackers.yaml_format",
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
