"""Loading metrics during a run waits for the worker that writes them, and not for ever."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from hosts import Host, eventually

#: Logs ten epochs whenever a line comes, and says what it could load and how long that took.
TRAINING = """
import json, sys, time
from drytorch_client import Experiment
from drytorch_trackers import CSVDumper

experiment = Experiment(None, name="Exp", par_dir=sys.argv[1])
experiment.trackers.remove_all()
experiment.trackers.subscribe(CSVDumper())
with experiment.create_run(run_id="r") as run:
    trainer = run.register_actor(name="Trainer", model=run.register_model(object(), name="net"))
    for line in sys.stdin:
        for epoch in trainer.training(n_epochs=10):
            epoch.log(loss=1.0)
        if line == "flush\\n":
            run.flush(30)
        else:  # until the broker is known to be away
            while run.status().broker == "connected":
                time.sleep(0.02)
        print("logged", flush=True)
        start = time.monotonic()
        loaded = CSVDumper.get_current().load_metrics("net")
        seconds = time.monotonic() - start
        last = max(loaded["Trainer"][0], default=0) if loaded else 0
        print(json.dumps([last, seconds]), flush=True)
"""


class Loading:
    """A training that logs and loads on demand."""

    def __init__(self, host: Host) -> None:
        self.host = host
        command = [sys.executable, "-c", TRAINING, str(host.folder / "out")]
        self.process = subprocess.Popen(
            command,
            env=host.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        host.adopt(self.process)

    def ask(self, *, flush: bool = True) -> None:
        """Let it log ten epochs, see that they are in the journal, and load."""
        assert self.process.stdin is not None
        self.process.stdin.write("flush\n" if flush else "\n")
        self.process.stdin.flush()

    def answer(self) -> tuple[int, float]:
        """Return the last epoch that it could load, and the seconds that this took."""
        assert self.process.stdout is not None
        last, seconds = json.loads(self.process.stdout.readline())
        return last, seconds

    def worker(self) -> psutil.Process:
        """Return its one worker."""
        found: list[psutil.Process] = eventually(self.host.workers, 30, "the worker is there")
        return found[0]

    def waits(self) -> bool:
        """Tell whether it has logged, and what it logged is in the journal, but not loaded."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "logged\n"
        return select.select([self.process.stdout], [], [], 0.3)[0] == []


@pytest.fixture
def loading(host: Host) -> Iterator[Loading]:
    """Return a training that has loaded once: everything is running."""
    loading = Loading(host)
    loading.ask()
    loading.waits()
    assert loading.answer()[0] == 10
    yield loading
    assert host.finish(loading.process).returncode == 0
    eventually(lambda: not host.workers(), 30, "the worker leaves")


@pytest.mark.system(deadline=60)
def test_a_loader_waits_for_its_worker(loading: Loading) -> None:
    """What was emitted can be loaded though the worker is held up; one that is frozen costs 5 s."""
    worker = loading.worker()
    worker.suspend()
    loading.ask()
    assert loading.waits()
    worker.resume()
    assert loading.answer()[0] == 20
    worker.suspend()
    loading.ask()
    assert loading.waits()
    last, seconds = loading.answer()
    worker.resume()
    assert last == 20
    assert 4.5 < seconds < 8
    loading.ask()
    loading.waits()
    assert loading.answer()[0] == 40


@pytest.mark.system(deadline=60)
def test_a_loader_does_not_wait_for_a_broker_that_is_away(loading: Loading, host: Host) -> None:
    """Without a broker it gives what there is after a moment."""
    (broker,) = host.brokers()
    broker.suspend()
    loading.ask(flush=False)
    loading.waits()
    last, seconds = loading.answer()
    broker.resume()
    assert last == 10
    assert seconds < 4.5
