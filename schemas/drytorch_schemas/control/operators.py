"""Messages between operators and the broker: status, runs, workers, stop."""

from __future__ import annotations

from typing import Any, Literal

from drytorch_schemas.control.base import Message


class Ask(Message):
    """An operator's request.

    Attributes:
        what: `status`, `runs`, `workers`, `dead` or `stop`.
        name: worker's name for `dead`; glob on the experiment for `runs`.
    """

    type: Literal["ask"] = "ask"
    what: Literal["status", "runs", "workers", "dead", "stop"]
    name: str = ""


class Answer(Message):
    """Answer to an operator's request.

    Attributes:
        data: plain data; its keys are documented in schemas/PROTOCOL.md.
    """

    type: Literal["answer"] = "answer"
    data: Any
