"""What trials at once cost, with trackers and without: `python -m benchmarks.sweep [TRIALS]`.

A trial is a process of its own that trains for two seconds of pauses, as if a device did the work,
with the default trackers and CSV files. Processes and memory (PSS: pages that several processes
share are divided among them) are read twice a second; the peak is shown.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from drytorch_client import Experiment

TRIALS = 20
EPOCHS = 20
BATCHES = 10
PAUSE = 0.01  # seconds of each batch
LOOK_EVERY = 0.5
_MARK = "DRYTORCH_BENCHMARK"
_ROLES = {"benchmarks.sweep": "training", "drytorch_trackers.worker": "worker"}


@dataclass
class Sweep:
    """What a sweep took.

    Attributes:
        seconds: until the last trial has ended.
        gone: until the last worker has left.
        processes: the most that were there at once, by role.
        kibibytes: memory of each role at its peak.
        milliseconds: processor time by role; the broker's as seen at the last look.
    """

    seconds: float = 0.0
    gone: float = 0.0
    processes: Counter[str] = field(default_factory=Counter)
    kibibytes: Counter[str] = field(default_factory=Counter)
    milliseconds: Counter[str] = field(default_factory=Counter)

    def look(self) -> Counter[str]:
        """Count the sweep's processes and their memory now."""
        count: Counter[str] = Counter()
        memory: Counter[str] = Counter()
        for role, size, cpu in _living():
            count[role] += 1
            memory[role] += size
            if role == "broker":
                self.milliseconds[role] = max(self.milliseconds[role], round(cpu * 1000))
        self.processes |= count
        self.kibibytes |= memory
        return count


def measure(trials: int, *, trackers: bool) -> Sweep:
    """Run a sweep in folders of its own, which end with it."""
    sweep, begun = Sweep(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dt-") as name:
        environment = os.environ | {_MARK: name, "OMP_NUM_THREADS": "1"}
        for variable in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            environment[variable] = str(Path(name, variable))
            Path(name, variable).mkdir(mode=0o700)
        if not trackers:
            environment["DRYTORCH_BROKER"] = "disabled"
        processes = [_start(number, Path(name, "out"), environment) for number in range(trials)]
        while any(each.poll() is None for each in processes):
            sweep.look()
            time.sleep(LOOK_EVERY)
        sweep.seconds = time.monotonic() - begun
        for each in processes:
            own, workers = map(int, each.communicate()[0].split())
            sweep.milliseconds.update({"training": own, "worker": workers})
        while sweep.look()["worker"]:
            time.sleep(LOOK_EVERY)
        sweep.gone = time.monotonic() - begun
        stop = [sys.executable, "-P", "-m", "drytorch_broker", "stop"]
        subprocess.run(stop, env=environment, check=True, capture_output=True)
    return sweep


def show(trials: int) -> None:
    """Measure both kinds, and print them."""
    both = [measure(trials, trackers=each) for each in (False, True)]
    pauses = EPOCHS * BATCHES * PAUSE
    print(f"\n{trials} trials at once, {pauses:g} s of pauses each")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    _row("", *(f"{each:>14}" for each in ("no trackers", "trackers")))
    for role in ("training", "worker", "broker"):
        _row(f"{role}: processes", *(f"{each.processes[role]:>14}" for each in both))
        _row("  memory", *(f"{each.kibibytes[role] / 1024:>10.0f} MiB" for each in both))
        _row("  processor time", *(f"{each.milliseconds[role] / 1000:>12.1f} s" for each in both))
    _row("last trial ended", *(f"{each.seconds:>12.1f} s" for each in both))
    _row("last worker gone", *(f"{each.gone:>12.1f} s" for each in both))


def _row(title: str, *cells: str) -> None:
    print(f"{title:20}{''.join(cells)}")


def _start(number: int, out: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.sweep", "trial", str(number), str(out)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def _living() -> Iterator[tuple[str, int, float]]:
    """Yield role, PSS in KiB and processor time of what belongs to a sweep."""
    own = psutil.Process()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process == own or _MARK not in process.environ():
                continue
            words = process.cmdline()
            role = next((role for word, role in _ROLES.items() if word in words), "broker")
            times = process.cpu_times()
            yield role, _pss(process.pid), times.user + times.system


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def trial(number: int, out: Path) -> None:
    """Train once, and print milliseconds of processor time, of this process and its workers."""
    experiment = Experiment({"number": number}, name="Sweep", par_dir=out)
    experiment.trackers.subscribe("csv")
    with experiment.create_run(run_id=f"trial-{number}") as run:
        trainer = run.register_actor(name="Trainer", model=run.register_model(object(), name="net"))
        for epoch in trainer.training(n_epochs=EPOCHS):
            for batch in epoch.batches(range(BATCHES)):
                time.sleep(PAUSE)
                epoch.progress(loss=1 / (batch + 1))
            epoch.log(loss=1.0)
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(*(round((usage.ru_utime + usage.ru_stime) * 1000) for usage in both))


if __name__ == "__main__":
    if sys.argv[1:2] == ["trial"]:
        trial(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        show(int(sys.argv[1]) if sys.argv[1:] else TRIALS)
