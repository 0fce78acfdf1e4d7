"""Lines of the console on their way to the training process's own `logging`."""

import io
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from drytorch_client.declarations import Declaration
from drytorch_client.workers.records import Route, route_of
from drytorch_client.workers.relay import Relay
from drytorch_trackers.console_records import RecordsHandler

CONSOLE = logging.getLogger("drytorch")
LINE = "[drytorch][ metrics  ] loss=0.5\n"


@pytest.fixture(autouse=True)
def clean_loggers() -> Iterator[None]:
    """Start with a console's logger that nobody has touched, and put both loggers back."""
    root = logging.getLogger()
    before = (CONSOLE.handlers, CONSOLE.level, CONSOLE.propagate, CONSOLE.disabled, root.handlers)
    CONSOLE.handlers, CONSOLE.disabled, root.handlers = [], False, list(root.handlers)
    yield
    CONSOLE.handlers, CONSOLE.level, CONSOLE.propagate, CONSOLE.disabled, root.handlers = before


def listening(logger: logging.Logger, stream: io.TextIOBase | None = None) -> io.TextIOBase:
    """Give a logger a handler and return what that prints to."""
    stream = stream or io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("[%(name)s][%(levelname)s] %(message)s"))
    logger.addHandler(handler)
    return stream


def text_of(stream: io.TextIOBase) -> str:
    """Return what was printed to a stream that `listening` made."""
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def record(text: str = "loss=0.5", level: int = 21) -> logging.LogRecord:
    """Return a line as the console makes it."""
    made = logging.LogRecord("drytorch", level, "", 0, text, (), None)
    made.levelname = " metrics  "
    return made


def send(route: Route, *records: logging.LogRecord, raw: bytes = b"") -> None:
    """Send lines through a pipe, as a worker does, and wait until they were delivered."""
    relay = Relay()
    writing = relay.records(route)
    handler = RecordsHandler(writing)
    os.write(writing, raw)
    for each in records:
        handler.emit(each)
    os.close(writing)
    assert relay.drain(10)


def declared(**options: object) -> list[Declaration]:
    """Return a worker's trackers."""
    return [
        Declaration(name="bars", target="progress"),
        Declaration(name="lines", target="console", kwargs=options),
    ]


def test_who_needs_a_pipe() -> None:
    """Lines are sent only where they propagate, or where the user listens to their logger."""
    assert route_of(declared()) is None
    assert route_of(declared(propagate=False)) is None
    assert route_of([Declaration(name="csv", target="csv")]) is None
    assert route_of(declared(stream="stdout", propagate=True)) == Route("stdout", propagate=True)
    CONSOLE.addHandler(logging.NullHandler())
    listening(CONSOLE, sys.stderr)  # type: ignore[arg-type]  # any text stream
    assert route_of(declared()) is None, "the worker prints there itself"
    assert route_of(declared(stream=None)) == Route(None)


def test_a_line_reaches_the_root_logger() -> None:
    """It keeps its level's name, its time and its logger; the root's own level is not asked."""
    root = logging.getLogger()
    heard = listening(root)
    seen: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    root.addHandler(Keeping())
    sent = record()
    sent.created = 1000.25
    send(Route("stdout", propagate=True), sent)
    assert text_of(heard) == LINE
    assert (seen[0].created, seen[0].msecs, seen[0].levelno) == (1000.25, 250, 21)


@pytest.mark.parametrize(("deduplicate", "printed"), [(True, ""), (False, LINE)])
def test_no_line_is_doubled(
    capsys: pytest.CaptureFixture[str], *, deduplicate: bool, printed: str
) -> None:
    """Handlers that print where the worker prints are left out, unless doubles are wanted."""
    other = listening(logging.getLogger())
    listening(logging.getLogger(), sys.stdout)  # type: ignore[arg-type]  # any text stream
    send(Route("stdout", propagate=True, deduplicate=deduplicate), record())
    assert capsys.readouterr().out == printed
    assert text_of(other) == LINE


def test_handlers_of_the_consoles_logger() -> None:
    """The user's handlers of the logger `drytorch` hear the lines too; the root's do not."""
    own, root = listening(CONSOLE), listening(logging.getLogger())
    CONSOLE.handlers[0].setLevel(25)
    send(Route(), record("low"), record("high", 25))
    assert text_of(own) == "[drytorch][ metrics  ] high\n"
    assert text_of(root) == ""
    CONSOLE.disabled = True
    send(Route(), record("never", 29))
    assert "never" not in text_of(own)


def test_what_a_handler_does_wrong_costs_one_line() -> None:
    """A handler that raises, and lines that are none, stop nothing."""

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "bad":
                raise RuntimeError

    CONSOLE.addHandler(Raising())
    heard = listening(CONSOLE)
    send(Route(), record("bad"), record(), raw=b"{}\nno json\n[1]\n")
    assert text_of(heard) == LINE


def test_a_line_without_end_is_dropped() -> None:
    """A worker that sends megabytes without an end of line does not fill the memory."""
    relay = Relay()
    heard = listening(CONSOLE)
    writing = relay.records(Route())
    for _ in range(32):
        os.write(writing, b"x" * (1 << 16))
    os.write(writing, b"\n")
    RecordsHandler(writing).emit(record())
    (pipe,) = relay._open.values()
    os.close(writing)
    assert relay.drain(10)
    assert len(pipe._rest) <= 1 << 20  # type: ignore[union-attr]  # it is a pipe of records
    assert text_of(heard) == LINE


def test_a_training_that_is_gone() -> None:
    """A line for a process that is gone is lost in silence; the worker goes on."""
    reading, writing = os.pipe()
    handler = RecordsHandler(writing)
    handler.emit(record("a\nb"))
    assert json.loads(os.read(reading, 1000))["text"] == "a\nb"
    os.close(reading)
    handler.emit(record())
    os.close(writing)
    handler.emit(record())


def test_hushed_at_the_end() -> None:
    """At the interpreter's end a handler that hangs is not waited for, and none is called again."""
    relay, go_on, entered = Relay(), threading.Event(), threading.Event()
    lines: list[str] = []

    class Hanging(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            entered.set()
            go_on.wait(10)

    CONSOLE.addHandler(Hanging())
    writing = relay.records(Route())
    RecordsHandler(writing).emit(record("first"))
    assert entered.wait(10)
    start = time.monotonic()
    relay.hush(0.1)
    assert time.monotonic() - start < 5
    RecordsHandler(writing).emit(record("late"))
    go_on.set()
    assert relay.drain(10)
    with pytest.raises(BrokenPipeError):  # so that the worker's own log takes what comes
        os.write(writing, b"later")
    os.close(writing)
    assert lines == ["first"]
