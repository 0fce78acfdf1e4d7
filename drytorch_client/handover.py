"""What no other process can import, such as a class of the script itself.

This is the only module that may hand over code, from a training process to its own workers. So far
it refuses, and says what to do instead.
"""

from __future__ import annotations

from typing import Any, Never

from drytorch_client.errors import NotImportableError


def hand_over(what: str, value: Any) -> Never:
    """Refuse something that a worker could not import.

    Args:
        what: what it is, for the error: `Tracker`, for example.
        value: the class or function.

    Raises:
        NotImportableError: always.
    """
    name = getattr(value, "__qualname__", type(value).__qualname__)
    place = "the script itself" if getattr(value, "__module__", "") == "__main__" else "a function"
    raise NotImportableError(
        f"{what} {name} is defined in {place}, where no worker can import it: "
        f"move it to a module of its own beside the script."
    )
