"""Starting a broker that outlives its starter, and waiting until it is ready.

The broker is a fresh process in a session of its own, with no descriptor of its starter's but a
pipe, over which it says that it is ready, or why not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from drytorch_broker import exit_codes
from drytorch_broker.errors import StartError

_READY: Final = "0 "


def start(arguments: Sequence[str]) -> str:
    """Start a broker, wait until it is ready, and return the line that says where it is.

    Args:
        arguments: the command line after `drytorch-broker start`, without `--detach`.

    Raises:
        StartError: it could not start; it carries its exit code and its sentence.
    """
    ready, write = os.pipe2(os.O_CLOEXEC)
    command = [sys.executable, "-P", "-m", "drytorch_broker", "start", *arguments]
    with os.fdopen(ready) as pipe:
        process = subprocess.Popen(
            [*command, "--ready-descriptor", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write,),
            start_new_session=True,
        )
        os.close(write)
        said = pipe.read()
    if said.startswith(_READY):
        process.returncode = 0  # it is nobody's child from now on
        return said.removeprefix(_READY).rstrip()
    code = process.wait()
    text = said.partition(" ")[2].rstrip() or f"The broker ended with exit code {code}."
    raise StartError(text, code if code > 0 else exit_codes.SOFTWARE)


def report(descriptor: int, code: int, text: str) -> None:
    """Say, in the new process, that it is ready, or why it is not.

    Args:
        descriptor: the pipe to the starter.
        code: 0, or the exit code.
        text: one line.
    """
    with os.fdopen(descriptor, "w") as pipe:
        pipe.write(f"{code} {text}\n")
