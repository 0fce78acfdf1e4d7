"""A notebook's kernel: cells run in it one by one, and what they show."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager


@dataclass
class Cell:
    """What a cell showed: text by stream, and the name of the error that ended it."""

    stdout: str = ""
    stderr: str = ""
    error: str = ""
    result: str = ""
    _on_text: Callable[[str], None] = field(default=lambda _text: None, repr=False)

    def take(self, message: Mapping[str, Any]) -> None:
        """Take a message of the kernel."""
        content = message["content"]
        if message["msg_type"] == "stream":
            setattr(self, content["name"], getattr(self, content["name"]) + content["text"])
            self._on_text(content["text"])
        elif message["msg_type"] == "error":
            self.error = content["ename"]
            self.stderr += "\n".join(content["traceback"])
        elif message["msg_type"] == "execute_result":
            self.result = content["data"]["text/plain"]


class Kernel:
    """A kernel of its own process."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder), env=dict(env))
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, code: str, on_text: Callable[[str], None] = lambda _text: None) -> Cell:
        """Run a cell to its end; `on_text` is called with each piece of text that it shows."""
        cell = Cell(_on_text=on_text)
        self._client.execute_interactive(code, timeout=60, output_hook=cell.take)
        return cell

    def interrupt(self) -> None:
        """Do what the button of the notebook does."""
        self._manager.interrupt_kernel()

    def shut_down(self) -> float:
        """End the kernel as a notebook's server does, and return how many seconds that took."""
        start = time.monotonic()
        self._manager.shutdown_kernel()
        seconds = time.monotonic() - start
        self.close()
        return seconds

    def close(self) -> None:
        """Kill the kernel where it still lives."""
        self._client.stop_channels()
        if self._manager.is_alive():
            self._manager.shutdown_kernel(now=True)
