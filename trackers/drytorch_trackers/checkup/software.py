"""Which versions are installed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from typing import Final

import zmq

from drytorch_trackers.checkup.finding import Finding

_OWN: Final = "drytorch-bus"
_NEEDED: Final = ("pyzmq", "msgpack", "pydantic", "SQLAlchemy", "tqdm")
#: Only shown where they are; never imported, which would take seconds.
_OPTIONAL: Final = ("torch", "drytorch")


def look() -> Finding:
    """Return the versions of this project, of Python and of the libraries that matter."""
    versions = {name: _version(name) for name in (_OWN, *_NEEDED, *_OPTIONAL)}
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    python = platform.python_version()
    libraries = ", ".join(f"{name} {version}" for name, version in _shown(versions).items())
    missing = [name for name in (_OWN, *_NEEDED) if versions[name] is None]
    return Finding(
        "software",
        f"{_OWN} {versions[_OWN]}, Python {python}, {system}; libzmq {zmq.zmq_version()}, "
        f"{libraries}",
        [f"The library {each} is not installed: run `pip install {each}`." for each in missing],
        {
            "versions": {name: version for name, version in versions.items() if version},
            "libzmq": zmq.zmq_version(),
            "python": python,
            "executable": sys.executable,
            "system": system,
            "host": os.uname().nodename,
        },
    )


def _shown(versions: dict[str, str | None]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if version and name != _OWN}


def _version(name: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return None
