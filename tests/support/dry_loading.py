"""DRYTorch in the process of the tests: loaded without a trace in its logger's settings."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock


@contextmanager
def drytorch_loaded() -> Iterator[Any]:
    """Give DRYTorch's modules and the bridge to it as attributes."""
    logger = logging.getLogger("drytorch")  # our console's lines belong to it, too
    before = logger.handlers[:], logger.level, logger.propagate
    # its YAML tracker changes how all of PyYAML writes lists: this mode does not load it
    with mock.patch.dict(os.environ, DRYTORCH_INIT_MODE="none"):
        from drytorch.core import experimenting, log_events, tracking
        from drytorch.utils import repr_utils

        from drytorch_trackers import dry_bridge
    logger.handlers, logger.level, logger.propagate = before
    yield SimpleNamespace(
        bridge=dry_bridge,
        events=log_events,
        experimenting=experimenting,
        repr_utils=repr_utils,
        tracking=tracking,
    )
    log_events.Event.set_auto_publish(None)
