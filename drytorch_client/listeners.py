"""Who wants to be told of something."""

from __future__ import annotations

from collections.abc import Callable


class Listeners(list[Callable[[], None]]):
    """Functions to call, in the order in which they were added."""

    def tell(self) -> None:
        """Call them all, also where one of them adds or removes others."""
        for listener in list(self):
            listener()
