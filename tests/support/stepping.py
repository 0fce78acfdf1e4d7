"""A training that goes on when it is asked to: a test decides what happens in between."""

import json
import select
import subprocess
import sys
from pathlib import Path

import psutil

from hosts import Host, eventually

CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")
#: Logs ten epochs whenever a line comes; after `load` it loads, and says how far and how long.
TRAINING = """
import json, sys, time
from drytorch_client import Experiment
from drytorch_trackers import CSVDumper

experiment = Experiment(None, name="Exp", par_dir=sys.argv[1])
experiment.trackers.remove_all()
experiment.trackers.subscribe(CSVDumper(), "yaml")
with experiment.create_run(run_id="r") as run:
    trainer = run.register_actor(name="Trainer", model=run.register_model(object(), name="net"))
    for line in sys.stdin:
        for epoch in trainer.training(n_epochs=10):
            epoch.log(loss=1.0)
        if line.startswith("away"):
            while run.status().broker == "connected":
                time.sleep(0.02)
        else:
            assert run.flush(60)
        print("logged", flush=True)
        if "load" in line:
            start = time.monotonic()
            loaded = CSVDumper.get_current().load_metrics("net")
            seconds = time.monotonic() - start
            last = max(loaded["Trainer"][0], default=0) if loaded else 0
            print(json.dumps([last, seconds]), flush=True)
"""


class Stepping:
    """A training with CSV and YAML that logs, and loads, on demand.

    Attributes:
        process: its process.
        out: the folder that its trackers write under.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.out = host.folder / "out"
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, str(self.out)],
            env=host.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        host.adopt(self.process)

    def step(self, words: str = "") -> None:
        """Let it log ten epochs, and wait until they are in the journal.

        With `load` it then loads; with `away` it waits until the broker is away instead.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        assert self._line() == "logged\n"

    def is_silent(self) -> bool:
        """Tell whether it has loaded nothing a moment later."""
        assert self.process.stdout is not None
        return select.select([self.process.stdout], [], [], 0.3)[0] == []

    def loaded(self) -> tuple[int, float]:
        """Return the last epoch that it could load, and the seconds that this took."""
        last, seconds = json.loads(self._line())
        return last, seconds

    def worker(self) -> psutil.Process:
        """Return the process that its trackers share."""
        found: list[psutil.Process] = eventually(self.host.workers, 30, "the worker is there")
        assert len(found) == 1
        return found[0]

    def workers(self) -> list[str]:
        """Return the names of its living workers, without the run's part."""
        names = []
        for each in self.host.workers():
            words = each.cmdline()
            label, _run, _start, *kind = words[words.index("--name") + 1].split("-")
            names.append("-".join([label, *kind]))
        return sorted(names)

    def end(self) -> str:
        """Let the run stop, wait until its workers have left, and return what was said."""
        finished = self.host.finish(self.process, 120)
        assert finished.returncode == 0, finished.stderr
        eventually(lambda: not self.host.workers(), 60, "the workers leave")
        return finished.stderr

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line
