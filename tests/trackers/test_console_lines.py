"""What the console prints, and how it is switched."""

import io
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deliveries import deliver, feed, metric, start, stop
from drytorch_client import defaults
from drytorch_client.declarations import declare
from drytorch_client.defaults import default_trackers
from drytorch_client.workers.records import route_of
from drytorch_schemas import events
from drytorch_trackers import BuiltinLogger, Delivery, TrackerContext, console, console_switches
from drytorch_trackers.console import INFO_LEVELS
from drytorch_trackers.terminal import printable


@pytest.fixture(autouse=True)
def clean_logger() -> Iterator[None]:
    """Put the logger, the root logger's filters and the switches back as they were."""
    logger, root = logging.getLogger("drytorch"), logging.getLogger()
    before = (logger.handlers[:], logger.level, logger.propagate, root.handlers[:])
    console_switches._switched.clear()
    yield
    logger.handlers, logger.level, logger.propagate, root.handlers = before
    console_switches._switched.clear()


def printed(happened: list[events.Event], tmp_path: Path, **options: Any) -> str:
    """Return what the console prints for some events."""
    stream = io.StringIO()
    options = {**options, "verbosity": 1, "stream": stream}
    feed(BuiltinLogger(**options), deliver(happened), tmp_path)
    return stream.getvalue()


def test_new_events_have_lines(tmp_path: Path) -> None:
    """A lost run, its return and lost events are told with the run's names."""
    happened: list[events.Event] = [
        events.RunLostEvent(producer="p", reason="its lock is free"),
        events.RunFoundEvent(producer="p"),
        events.LossEvent(count=3, reason="queue full"),
    ]
    lines = re.sub(r"\[.*?\]", "[time]", printed(happened, tmp_path)).replace("\r", "")
    assert lines.splitlines() == [
        "[time] - Experiment: Exp - Lost run: 2025-08-01@12h54m21s (its lock is free)",
        "[time] - Experiment: Exp - Found run: 2025-08-01@12h54m21s",
        "[time] - Experiment: Exp - Run: 2025-08-01@12h54m21s - 3 events lost (queue full)",
    ]


def test_metric_names_may_hold_anything(tmp_path: Path) -> None:
    """Brackets and percent signs in names do not break a line."""
    out = printed(
        [metric(1, "x", values={"F1 (macro)": 0.5, "50%": 1, "%(x)s": float("nan")})], tmp_path
    )
    assert out == "\r              x: \tF1 (macro)=5.000000e-01\t50%=1.000000e+00\t%(x)s= nan\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("two\r\nlines", r"two\r\nlines"),
        ("\x9b2J", r"\x9b2J"),
        ("left\u202etfel", r"left\u202etfel"),
        ("tab\tbed", r"tab\tbed"),
        ("شبكة 模型 é", "شبكة 模型 é"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_control_characters_are_spelled_out(tmp_path: Path, name: str, shown: str) -> None:
    """No name or text of an event can move the cursor, colour the terminal or begin a line."""
    where: dict[str, Any] = {"model_name": name, "definition": name, "location": name, "epoch": 1}
    happened: list[events.Event] = [
        metric(1, name, values={name: 1.0}),
        events.TerminatedTrainingEvent(source_name=name, model_name=name, epoch=1, reason=name),
        events.LearningRateEvent(
            model_name=name, source_name=name, epoch=1, base_lr={name: 1.0}, scheduler_name=name
        ),
        events.SaveModelEvent(**where),
        events.LoadModelEvent(**where),
        events.StartTestEvent(source_name=name, model_name=name),
        events.RunLostEvent(producer=name, reason=name),
        start(exp_name=name, run_id=name),
        stop(name),
    ]
    out = printed(happened, tmp_path)
    body = out.replace("\r", "").replace("\n", "").replace("\t", "")
    assert shown in body
    assert body == printable(body)
    assert out.count("\n") == len(happened)
    assert printable(name) == shown


def test_time_is_the_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line shows when the event happened, not when it was printed."""
    monkeypatch.setattr("time.localtime", lambda seconds: __import__("time").gmtime(seconds))
    assert printed([start()], tmp_path).startswith("\r[2023-11-14 22:13:20] - Experiment: Exp")


def test_replayed_context_is_not_printed_again(tmp_path: Path) -> None:
    """What a restarted worker is told again does not appear twice."""
    stream = io.StringIO()
    tracker = BuiltinLogger(stream=stream)
    tracker.setup(TrackerContext(tmp_path))
    (delivery,) = deliver([start()])
    tracker.handle(Delivery(delivery.envelope, 0, replayed=True))
    assert stream.getvalue() == ""
    tracker.handle(delivery)
    assert stream.getvalue().count("Starting run") == 1


def test_streams_are_looked_up_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standard stream that is replaced after the set-up is written to."""
    tracker = BuiltinLogger(stream="stdout")
    tracker.setup(TrackerContext(tmp_path))
    late = io.StringIO()
    monkeypatch.setattr(sys, "stdout", late)
    tracker.handle(deliver([start()])[0])
    assert "Starting run" in late.getvalue()
    assert capsys.readouterr().out == ""


def test_no_stream_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream lines go nowhere but to the root logger on request."""
    root = logging.StreamHandler(stream := io.StringIO())
    logging.getLogger().addHandler(root)
    feed(BuiltinLogger(stream=None, propagate=True), deliver([start()]), tmp_path)
    assert stream.getvalue().startswith("Experiment: Exp - Starting run")
    assert capsys.readouterr() == ("", "")


def test_propagation_does_not_double_lines(tmp_path: Path) -> None:
    """A root handler on the same stream is kept from the lines until propagation ends."""
    shared, other = io.StringIO(), io.StringIO()
    handlers = [logging.StreamHandler(shared), logging.StreamHandler(other)]
    for handler in handlers:
        logging.getLogger().addHandler(handler)
    feed(BuiltinLogger(stream=shared, propagate=True), deliver([start()]), tmp_path)
    assert shared.getvalue().count("Starting run") == 1
    assert other.getvalue().count("Starting run") == 1
    console.disable_propagation()
    logging.getLogger("drytorch").warning("no more")
    logging.getLogger("elsewhere").warning("heard")
    assert "no more" not in other.getvalue()
    assert "heard" in shared.getvalue()


def test_switches_act_here_and_travel() -> None:
    """What is switched in the training process is an option of the tracker declared later."""
    console.enable_default_handler(sys.stdout)
    console.set_verbosity(INFO_LEVELS.training)
    console.set_formatter("progress")
    console.enable_propagation()
    assert console.get_verbosity() == logging.getLogger("drytorch").level == 28
    declared = declare(BuiltinLogger())
    assert declared.kwargs == {
        "verbosity": 28,
        "stream": "stdout",
        "formatter": "progress",
        "propagate": True,
        "deduplicate_stream": True,
    }
    assert declare(BuiltinLogger(21, propagate=False)).kwargs == {
        "verbosity": 21,
        "stream": "stdout",
        "formatter": "progress",
        "propagate": False,
        "deduplicate_stream": True,
    }
    console.disable_default_handler()
    assert declare(BuiltinLogger()).kwargs["stream"] is None


def test_verbosity_of_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verbosity can be asked for before anything was switched: the mode has set it."""
    monkeypatch.setenv("DRYTORCH_INIT_MODE", "minimal")
    defaults.forget_mode()
    assert console.get_verbosity() == INFO_LEVELS.training
    console.set_verbosity(INFO_LEVELS.metrics)
    assert console.get_verbosity() == INFO_LEVELS.metrics
    defaults.remove_all_default_trackers()
    console_switches.forget()
    assert console.get_verbosity() == logging.NOTSET
    defaults.forget_mode()


def test_a_mode_undoes_switches() -> None:
    """Stream, propagation, formatter and verbosity of before are gone after `init_trackers`."""
    shared = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(shared)
    console.enable_default_handler("stdout")
    console.set_verbosity(19)
    console.set_formatter("progress")
    console.enable_propagation(deduplicate_stream=True)
    assert shared.filters
    defaults.init_trackers("standard")
    (lines, *_) = [defaults.switched(each.current()) for each in default_trackers().values()]
    assert (lines.target, lines.kwargs) == ("console", {"verbosity": INFO_LEVELS.epoch})
    logger = logging.getLogger("drytorch")
    assert (logger.handlers, logger.level, logger.propagate) == ([], logging.NOTSET, False)
    assert shared.filters == []
    defaults.forget_mode()


def test_switches_after_a_mode() -> None:
    """What is switched later wins, and a handler switched on is on its own, as in DRYTorch."""
    defaults.init_trackers("hydra")
    console.set_verbosity(INFO_LEVELS.test)
    lines = defaults.switched(next(iter(default_trackers().values())).current())
    assert lines.kwargs == {"verbosity": 29, "stream": "stdout", "propagate": True}
    console.enable_default_handler()
    lines = defaults.switched(next(iter(default_trackers().values())).current())
    assert lines.kwargs == {
        "verbosity": 21,
        "stream": "stderr",
        "propagate": False,
        "formatter": "drytorch",
    }
    defaults.forget_mode()


def test_a_stream_of_this_process() -> None:
    """Lines for a stream that no worker has come to this process's handler, formatted by it."""
    stream = io.StringIO()
    console.enable_default_handler(stream)
    console.set_formatter("progress")
    declared = declare(BuiltinLogger())
    assert declared.kwargs["stream"] is None
    route = route_of([declared])
    assert route is not None
    route.deliver(logging.LogRecord("drytorch", INFO_LEVELS.epoch, "", 0, "epoch", (), None))
    assert stream.getvalue() == "epoch ...\r"


def test_propagation_survives_a_handler_switched_off() -> None:
    """Lines that print nowhere still reach the root logger, where that was asked for."""
    console.enable_propagation()
    console.disable_default_handler()
    declared = declare(BuiltinLogger())
    assert (declared.kwargs["stream"], declared.kwargs["propagate"]) == (None, True)


@pytest.mark.parametrize("option", [{"stream": "stdlog"}, {"formatter": "fancy"}])
def test_wrong_options(option: dict[str, Any]) -> None:
    """An unknown stream or formatter is refused at once, with what there is."""
    with pytest.raises(ValueError, match=r"is unknown: use '\w+' or '\w+'\."):
        BuiltinLogger(**option)
