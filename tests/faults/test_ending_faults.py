"""Ends of a training (A): signals, errors and exits; what was reported before them arrives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

import emitting
from drytorch_schemas.endpoint import read_endpoint
from drytorch_schemas.folders import journal_dir, spool_dir
from drytorch_schemas.spool_files import Batch, batches, spool_segments
from hosts import Host, eventually
from journaled import assert_complete, journaled

SCRIPT = """
import os, signal, sys, threading, time
from drytorch_client import Experiment, init_trackers
init_trackers("none")
BEFORE
experiment = Experiment(None, name="Exp", par_dir="out", spool="before_return")
with experiment.create_run(run_id="r") as run:
    number = 0
    while True:
        run.log({"loss": number}, step=number)
        os.write(1, b"%d\\n" % number)
        number += 1
        time.sleep(0.001)
        DURING
"""


def start(host: Host, during: str = "pass", before: str = "pass") -> subprocess.Popen[str]:
    """Start a training that tells each number that it has reported."""
    during = textwrap.indent(textwrap.dedent(during).strip(), " " * 8).strip()
    script = SCRIPT.replace("BEFORE", textwrap.dedent(before).strip()).replace("DURING", during)
    return host.start(sys.executable, "-c", script)


def status(host: Host) -> str:
    """Return what the registry says of the run."""
    file = host.folder / "out" / ".drytorch" / "Exp" / "runs.json"
    found: str = json.loads(file.read_text())[0]["status"] if file.exists() else ""
    return found


def local_broker() -> psutil.Process:
    """Return this user's broker, and not the process that starts it."""
    found = read_endpoint(journal_dir())
    assert found is not None
    return psutil.Process(found.pid)


def assert_delivered(host: Host, out: str, last: str) -> None:
    """Fail where the journal has not exactly what was told, and a last event of a kind."""
    told = [int(line) for line in out.splitlines()]
    eventually(lambda: journaled(host)[-1].kind == last, 30, f"{last} is the last event")
    found = journaled(host)
    assert_complete(found)
    numbers = [each.event.step for each in found if each.kind == "Metric"]  # type: ignore[attr-defined]  # metrics have one
    # one more may have been reported that could not be told
    assert numbers in (told, [*told, len(told)])
    assert len(told) > 20


ENDS = {
    "exception": "if number == 50: raise ValueError('diverged')",
    "sys.exit in a callback": """
        if number == 50:
            sorted([2, 1], key=lambda _: sys.exit(3))
    """,
    "sys.exit in a hook of the interpreter": """
        if number == 50:
            sys.settrace(lambda *_: sys.exit(3))
            (lambda: None)()
    """,
    "SIGTERM that the script handles": """
        if number == 50: os.kill(os.getpid(), signal.SIGTERM)
    """,
    "Ctrl-C": "if number == 50: os.kill(os.getpid(), signal.SIGINT)",
}
CODES = dict(zip(ENDS, (1, 3, 3, 143, -signal.SIGINT), strict=True))


@pytest.mark.parametrize("end", ENDS)
def test_ends_with_a_word(host: Host, end: str) -> None:
    """Error (A13), `sys.exit` (A14), SIGTERM (A12), Ctrl-C (A11): all arrives, the run fails."""
    before = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))"
    ended = host.finish(start(host, ENDS[end], before))
    assert ended.returncode == CODES[end], ended
    assert status(host) == "failed"
    assert_delivered(host, ended.stdout, "StopExperiment")
    assert journaled(host)[-1].event.status == "failed"  # type: ignore[attr-defined]  # a stop has one
    assert "drytorch: run r of Exp failed; results under" in ended.stderr
    assert ("Traceback" in ended.stderr) == (end in {"exception", "Ctrl-C"})
    assert not list(spool_dir().iterdir())


def test_sigterm(host: Host) -> None:
    """SIGTERM that no script handles ends it at once, as SIGKILL does: the run is lost (A12)."""
    training = start(host)
    eventually(lambda: emitting.kinds()["Metric"] > 50, 30, "some events")
    training.terminate()
    ended = host.finish(training)
    assert ended.returncode == -signal.SIGTERM
    assert_delivered(host, ended.stdout, "RunLost")
    assert status(host) == "running"  # until the next run of the experiment looks
    assert not list(spool_dir().iterdir())


def test_ctrl_c_twice(host: Host) -> None:
    """A second Ctrl-C ends the wait for a broker that is frozen; all arrives later (A11)."""
    training = start(host)
    eventually(lambda: emitting.kinds()["Metric"] > 50, 30, "some events")
    broker = local_broker()
    broker.suspend()
    training.send_signal(signal.SIGINT)
    eventually(lambda: status(host) == "failed", 20, "the run stops, and waits")
    training.send_signal(signal.SIGINT)
    begun = time.monotonic()
    ended = host.finish(training)
    assert time.monotonic() - begun < 15
    assert ended.returncode == -signal.SIGINT
    broker.resume()
    assert_delivered(host, ended.stdout, "StopExperiment")
    eventually(lambda: not list(spool_dir().iterdir()), 30, "the spool is removed")


ONE_AFTER_THE_OTHER = """
from drytorch_client import Experiment, init_trackers
from drytorch_client.errors import NestedScopeError
init_trackers("none")
first = Experiment(None, name="First", par_dir="out")
second = Experiment(None, name="Second", par_dir="out")
for number, experiment in enumerate([first, second, first]):
    with experiment.create_run(run_id=f"r{number}") as run:
        run.log({"loss": 1.0})
        for other in (first, second):
            try:
                with other.create_run(run_id=f"{number}-{other.name}"):
                    print("went in")
            except NestedScopeError as error:
                print("refused")
        run.log({"loss": 2.0})
print(run.flush(20))
"""


def test_experiments_one_after_the_other(host: Host) -> None:
    """Two experiments take turns in one process, and a run within a run is refused (A23)."""
    ended = host.run(sys.executable, "-c", ONE_AFTER_THE_OTHER)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["refused"] * 6 + ["True"]
    found = journaled(host)
    assert_complete(found)
    assert len({each.origin.producer for each in found}) == 1
    told = [(each.origin.experiment, each.origin.run_id, each.kind) for each in found]
    kinds = ["StartExperiment", "Metric", "Metric", "StopExperiment"]
    turns = [("First", "r0"), ("Second", "r1"), ("First", "r2")]
    assert told == [(*turn, kind) for turn in turns for kind in kinds]


@pytest.mark.parametrize("room", [False, True], ids=["for good", "until the end"])
def test_neither_broker_nor_disk(host: Host, *, room: bool) -> None:
    """Ended without broker on a full disk: what cannot be spooled is lost, and told (A9, A15)."""
    ended = emitting.run(
        host,
        f"""
        import resource
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for number in range(100):
            emit(number)
        while sender.status().queued or sender._core._spool.broken:
            time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        for number in range(100, 200):
            emit(number)
        while sender.status().queued or not sender._core._spool.broken:
            time.sleep(0.01)
        sender._core._courier._mend_due = time.monotonic() + 60
        if {room}:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        """,
        broker="tcp://127.0.0.1:9",
        away_wait=0.2,
    )
    assert ended.returncode == 0, ended
    last = ended.stderr.splitlines()[-1]
    (folder,) = spool_dir().iterdir()
    spooled = sum(
        each.count
        for path in spool_segments(folder)
        for each in batches(path)
        if isinstance(each, Batch)
    )
    if room:
        assert spooled == 200
        assert last.startswith("drytorch: 200 events wait in ")
    else:
        assert spooled == 100
        assert last.startswith("drytorch: warning: 100 events are lost, since the broker at tcp:")
