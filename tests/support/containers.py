"""The Dockerfile and the compose file, taken apart so that their steps run without an engine."""

import contextlib
import re
import shlex
import socket
from collections.abc import Mapping
from typing import Any

import yaml

from pages import ROOT

DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"


def instructions() -> list[tuple[str, list[str]]]:
    """Return the Dockerfile's instructions with their words, lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], shlex.split(line)[1:]) for line in lines]


def stages() -> dict[str, list[tuple[str, list[str]]]]:
    """Return the instructions of each stage by its name."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    name = ""
    for instruction, words in instructions():
        if instruction == "FROM":
            name = words[-1]
        found.setdefault(name, []).append((instruction, words))
    return found


def replaced(word: str, places: Mapping[str, str]) -> str:
    """Return a word of a command with the containers' places replaced by this host's."""
    pattern = "|".join(re.escape(each) for each in sorted(places, key=len, reverse=True))
    return re.sub(pattern, lambda match: places[match[0]], word)


def compose() -> dict[str, Any]:
    """Return the compose file as data."""
    data: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return data


def free_port() -> int:
    """Return a port of this host that is free together with the two behind it."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
            sockets[0].bind(("127.0.0.1", 0))
            port = int(sockets[0].getsockname()[1])
            for number, each in enumerate(sockets[1:], 1):
                each.bind(("127.0.0.1", port + number))
            return port
