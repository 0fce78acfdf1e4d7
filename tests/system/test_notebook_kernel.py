"""A notebook's user: trains in cells, interrupts one, and shuts the kernel down."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts import Host, eventually
from kernels import Kernel
from screen import show

SETUP = """
import time
from drytorch_client import Experiment
from drytorch_trackers import CSVDumper, Tracker

class Mine(Tracker):
    def on_metric(self, event):
        print("mine", event.epoch, flush=True)

experiment = Experiment(None, name="Book", par_dir="out", exit_wait=40)
dumper = CSVDumper()
experiment.trackers.subscribe(dumper, Mine())

def train(trainer, epochs):
    for epoch in trainer.training(n_epochs=epochs):
        for _ in epoch.batches([1, 2, 3]):
            time.sleep(0.02)
            epoch.progress(loss=0.5)
        epoch.log(loss=0.5)

def trainer_of(run):
    return run.register_actor(name="T", model=run.register_model(object(), name="net"))
"""
WHOLE_RUN = """
with experiment.create_run(run_id="first") as run:
    train(trainer_of(run), 2)
    current = CSVDumper.get_current() is dumper
    loaded = dumper.load_metrics("net")
current, loaded
"""
OPEN_RUN = """
run = experiment.create_run(run_id="second")
run.start()
trainer = trainer_of(run)
train(trainer, 1)
"""
BAR = "              T: 100%|██████████| 3/3, times, Samples=?, loss=5.000e-01"


@pytest.fixture
def kernel(host: Host) -> Iterator[Kernel]:
    """Return a kernel in the host's folder."""
    kernel = Kernel(host.folder, host.environment)
    yield kernel
    kernel.close()


@pytest.mark.system(deadline=30)
def test_a_day_in_a_notebook(host: Host, kernel: Kernel) -> None:
    """Cells show lines, bars and what their own tracker prints; nothing outlives the kernel."""
    assert kernel.run(SETUP).error == ""
    cell = kernel.run(WHOLE_RUN)
    assert cell.result == "(True, {'T': ([1, 2], {'loss': [0.5, 0.5]})})"
    shown = [line for line in show(cell.stderr) if not line.startswith("drytorch: ")]
    assert shown[:6] == [
        "[time] - Experiment: Book - Starting run: first",
        "[time] - Training net started",
        "====> Epoch 1/2:",
        BAR,
        "====> Epoch 2/2:",
        BAR,
    ]
    assert cell.stdout == "mine 1\nmine 2\n"
    assert not host.workers()

    assert kernel.run(OPEN_RUN).error == ""

    def interrupt(text: str) -> None:
        if "mine 3" in text:
            kernel.interrupt()

    assert kernel.run("train(trainer, 10_000)", interrupt).error == "KeyboardInterrupt"
    assert kernel.run("1 + 1").result == "2"
    assert host.workers()
    kernel.shut_down()
    # a kernel that had been killed for its slowness would not have ended its run
    runs = json.loads((host.folder / "out" / ".drytorch" / "Book" / "runs.json").read_text())
    assert [(each["id"], each["status"]) for each in runs] == [
        ("first", "completed"),
        ("second", "completed"),
    ]
    eventually(lambda: not host.workers(), 30, "the workers leave")
    table = Path(host.folder, "out", "csv_metrics", "Book", "second", "net", "T.csv").read_text()
    assert table.count("\n") >= 4
