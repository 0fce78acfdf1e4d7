"""What console and progress bars share: one terminal, and care for what is written to it."""

from __future__ import annotations

import re
import sys
import weakref
from typing import Final, Literal, Protocol, TextIO

StreamName = Literal["stderr", "stdout"]

#: Control characters, lone surrogates, and marks that reorder the text around them.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return a text whose control characters are spelled out, such as `\x1b` for an escape.

    Args:
        text: anything that came with an event.
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def stream_of(name: StreamName) -> TextIO:
    """Return the stream of a name as it is now: a worker or a test may have replaced it.

    Args:
        name: `stderr` or `stdout`.
    """
    return sys.stdout if name == "stdout" else sys.stderr


def name_of(stream: object) -> StreamName | None:
    """Return the name of one of the two standard streams, None for anything else.

    Args:
        stream: a stream, or its name.
    """
    if stream == "stdout" or stream in (sys.stdout, sys.__stdout__):
        return "stdout"
    if stream == "stderr" or stream in (sys.stderr, sys.__stderr__):
        return "stderr"
    return None


def checked(stream: str | TextIO) -> StreamName | TextIO:
    """Return a standard stream by its name, any other stream as it is.

    Args:
        stream: `stderr`, `stdout` or an open text stream.

    Raises:
        ValueError: another text.
    """
    name = name_of(stream)
    if name is not None:
        return name
    if isinstance(stream, str):
        raise ValueError(  # noqa: TRY004  # a text is the right type, this one has no meaning
            f"Stream {stream!r} is unknown: use 'stderr' or 'stdout'."
        )
    return stream


class Drawer(Protocol):
    """Something that draws on the terminal's last lines."""

    def close_passes(self, run: str) -> None:
        """Leave the last lines to what is printed next."""


_drawers: Final[weakref.WeakSet[Drawer]] = weakref.WeakSet()


def register(drawer: Drawer) -> None:
    """Make a drawer known for as long as it lives.

    Args:
        drawer: who draws.
    """
    _drawers.add(drawer)


def close_passes(run: str) -> None:
    """Close the bars of passes that a run left unfinished: a line that ends them follows.

    Args:
        run: UUID of the run.
    """
    for drawer in list(_drawers):
        drawer.close_passes(run)
