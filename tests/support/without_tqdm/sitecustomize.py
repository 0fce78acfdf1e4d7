"""Hides tqdm from every Python that has this folder on PYTHONPATH."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any


class Hiding(MetaPathFinder):
    """Refuses the one module, as if it were not installed."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:  # noqa: ARG002 - the protocol's own
        """Raise for tqdm, and leave the rest to others."""
        if fullname.partition(".")[0] == "tqdm":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


sys.meta_path.insert(0, Hiding())
