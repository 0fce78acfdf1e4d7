"""Streams of a training process that workers' output and the client's own lines go to."""

import io
import os
import select
import sys
import threading
import types
from typing import Any

import pytest

from drytorch_client import messages, notebook
from drytorch_client.workers.relay import Relay


class CellStream(io.StringIO):
    """A kernel's stream as ipykernel 6 has it: it ties threads to the cells that started them."""

    def __init__(self) -> None:
        super().__init__()
        self._thread_to_parent = _Tied()
        self._thread_to_parent_header = _Tied()
        self.tied: list[bool] = []

    def write(self, text: str) -> int:
        """Note whether the thread that writes is tied."""
        ident = threading.get_ident()
        ties = (self._thread_to_parent, self._thread_to_parent_header)
        self.tied.append(any(ident in each for each in ties))
        return super().write(text)


class _Tied(dict[int, object]):
    """Holds every thread until it is taken out."""

    def __init__(self) -> None:
        super().__init__()
        self._free: set[int] = set()

    def __contains__(self, ident: object) -> bool:
        return ident not in self._free

    def pop(self, ident: int, default: Any = None) -> Any:
        """Take a thread out."""
        self._free.add(ident)
        return default


def test_output_appears_in_the_running_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is relayed to a notebook is not tied to the cell in which the relay began."""
    stream = CellStream()
    monkeypatch.setattr(sys, "stdout", stream)
    relay = Relay()
    writing = relay.pipe("stdout")
    os.write(writing, "50 % \u2588".encode())
    os.close(writing)
    assert relay.drain(10)
    assert stream.getvalue() == "50 % \u2588"
    assert not any(stream.tied)


def test_a_line_does_not_wait_for_a_full_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of the client's own is left out where stderr takes nothing at the moment."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        messages.say_left(1, "first", "")
        assert b"first" in os.read(reading, 1000)
        while select.select([], [writing], [], 0)[1]:
            os.write(writing, b"x" * select.PIPE_BUF)
        messages.say_left(1, "second", "")
        while len(os.read(reading, 1 << 20)) == 1 << 20:
            pass
        messages.say_left(1, "third", "")
        shown = os.read(reading, 1000)
    os.close(reading)
    assert b"second" not in shown
    assert b"third" in shown


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_a_line_without_stderr(monkeypatch: pytest.MonkeyPatch, stderr: str | None) -> None:
    """Where there is no stderr, or a closed one, a line is lost and nothing else."""
    stream: Any = None
    if stderr == "closed":
        stream = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    messages.say_left(1, "away", "")


@pytest.mark.parametrize(
    ("config", "widgets", "answer"),
    [({"IPKernelApp": {}}, True, True), ({"IPKernelApp": {}}, False, False), ({}, True, False)],
)
def test_notebooks_with_widgets(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], *, widgets: bool, answer: bool
) -> None:
    """Only a kernel that has `ipywidgets` is a place where DRYTorch's bars are widgets."""
    shell = types.SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    module = types.ModuleType("ipywidgets")
    module.__spec__ = types.SimpleNamespace(name="ipywidgets")  # type: ignore[assignment]  # enough
    monkeypatch.setitem(sys.modules, "ipywidgets", module if widgets else None)
    assert notebook.has_widgets() is answer


def test_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain Python, and IPython without a shell, are no notebook."""
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not notebook.has_widgets()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not notebook.has_widgets()
