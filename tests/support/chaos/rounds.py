"""One round of chaos: trainings, a broker, workers, and perhaps a bad line between them."""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from drytorch_schemas.folders import journal_dir
from hosts import Host, eventually

HERE: Final = Path(__file__).parent
TRACKERS: Final = ("csv", "sql")
#: Numbers that one process may use.
SPAN: Final = 1_000_000


@dataclass
class Process:
    """One training process, and what it said it had accepted.

    Attributes:
        run_id: identifier of its run.
        base: its numbers lie above this one.
        spool: how it spools.
        accepted: monotonic time in nanoseconds by number.
        killed_at: when it was killed, likewise; None where it was not.
        unsafe: from when to when its disk was full, likewise, with the time to notice that it is
            not any more: what was accepted then may be in memory only.
        process: the process.
    """

    run_id: str
    base: int
    spool: str
    process: subprocess.Popen[str]
    accepted: dict[int, int] = field(default_factory=dict)
    killed_at: int | None = None
    unsafe: list[tuple[int, int]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)


class Round:
    """Everything that happens in one round, and the diary of it.

    Attributes:
        seed: decides all chances.
        proxied: whether the trainings reach the broker over a bad line, and not over the socket.
        processes: all training processes, also those that were killed.
        journals: folders of all journals, oldest first.
        replaced: whether the broker was replaced by one with an empty journal.
        diary: what happened when.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.chance = random.Random(seed)
        self.proxied = self.chance.random() < 0.5
        self.host = Host(folder)
        self.processes: list[Process] = []
        self.diary: list[str] = []
        self.par_dir = folder / "out"
        self.journals: list[Path] = []
        self.replaced = False
        self._began = time.monotonic()
        self._readers: list[threading.Thread] = []
        self._clock = folder / "clock"
        self._clock.write_text("0")
        self.line: dict[str, Any] = {}
        self.broker: subprocess.Popen[str] | None = None
        self._line_process: subprocess.Popen[str] | None = None
        search = str(HERE / "clock")
        self.host.environment |= {"CHAOS_CLOCK": str(self._clock), "PYTHONPATH": search}
        if self.proxied:
            self._open_line()

    def note(self, what: str) -> None:
        """Write into the diary."""
        self.diary.append(f"{time.monotonic() - self._began:7.3f} s  {what}")

    # ---- places

    @property
    def journal(self) -> Path:
        """Folder of the journal that the broker writes now."""
        return self.folder / "central" if self.proxied else journal_dir()

    @property
    def line_file(self) -> Path:
        """The config of the bad line."""
        return self.folder / "line.json"

    def set_line(self, **changes: Any) -> None:
        """Make the line better or worse."""
        self.line |= changes
        draft = self.line_file.with_suffix(".draft")
        draft.write_text(json.dumps(self.line))
        draft.replace(self.line_file)

    def set_clock(self, seconds: int) -> None:
        """Let the clocks of all processes jump."""
        self._clock.write_text(str(seconds))

    def _open_line(self) -> None:
        front = free_ports()
        self.line = {"front": front, "back": free_ports(), "cut": False}
        self.set_line(lost=0.0, twice=0.0, late=0.0, delay=0.2)
        self._line_process = self.host.start(sys.executable, HERE / "proxy.py", self.line_file)
        self.host.environment["DRYTORCH_BROKER"] = f"tcp://127.0.0.1:{front}"
        self.start_broker()

    # ---- the broker

    def start_broker(self) -> None:
        """Start the broker behind the line; the local one is started by the trainings."""
        url = f"tcp://127.0.0.1:{self.line['back']}"
        options = ("start", "--journal", self.journal, "--listen", url)
        command = [sys.executable, "-P", "-m", "drytorch_broker", *map(str, options)]
        with (self.folder / "stderr-broker").open("a") as errors:
            self.broker = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.host.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )
        self.host.adopt(self.broker)

    def kill_broker(self) -> bool:
        """Kill the broker with SIGKILL."""
        victims = self.host.brokers()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, 5)
        return bool(victims)

    def stop_broker(self) -> None:
        """End the broker in good order."""
        done = self.host.broker("stop", "--journal", self.journal)
        self.note(f"broker stop says {done.returncode} {done.stdout}{done.stderr}".strip())

    # ---- trainings

    def train(self, run_id: str, *, resume: bool = False) -> Process:
        """Start a training process."""
        reading, writing = os.pipe()
        base = SPAN * (len(self.processes) + 1)
        options = {
            "pipe": writing,
            "base": base,
            "par_dir": str(self.par_dir),
            "run_id": run_id,
            "resume": resume,
            "spool": self.chance.choice(["async", "async", "before_return"]),
            "trackers": TRACKERS,
            "epochs": self.chance.randint(20, 60),
            "pause": self.chance.choice([0.001, 0.005, 0.02]),
            "loader": self.chance.choice(["", "", "fork", "spawn"]),
        }
        environment = self.host.environment | {"CHAOS_TRAINING": json.dumps(options)}
        with (self.folder / f"stderr-{base}").open("w") as errors:
            started = subprocess.Popen(
                [sys.executable, HERE / "training.py"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                pass_fds=[writing],
            )
        os.close(writing)
        self.host.adopt(started)
        process = Process(run_id, base, str(options["spool"]), started)
        self.processes.append(process)
        reader = threading.Thread(target=_listen, args=(reading, process.accepted), daemon=True)
        reader.start()
        self._readers.append(reader)
        shown = {name: options[name] for name in ("spool", "epochs", "pause", "loader", "resume")}
        self.note(f"training {run_id} starts as process {started.pid}: {shown}")
        return process

    def living(self) -> list[Process]:
        """Return the training processes that are under way."""
        return [each for each in self.processes if each.process.poll() is None]

    def finish(self, seconds: float) -> None:
        """Wait for all trainings, and keep what they measured."""
        end = time.monotonic() + seconds
        for each in self.processes:
            out, _ = each.process.communicate(timeout=max(end - time.monotonic(), 0.1))
            for line in out.splitlines():
                if line.startswith("RESULT "):
                    each.result = json.loads(line.removeprefix("RESULT "))
        for reader in self._readers:
            reader.join(max(end - time.monotonic(), 0.1))

    def settle(self, seconds: float) -> None:
        """Deliver and handle everything that is left, then end the broker."""
        if self.proxied and not self.host.brokers():
            self.start_broker()

        def nothing_left() -> bool:
            done = self.host.drytorch("sync", "--wait", "20", seconds=60)
            self.note(f"sync says {done.returncode}: {(done.stdout + done.stderr).strip()!r}")
            return "Nothing is left" in done.stdout

        eventually(nothing_left, seconds, "sync has nothing left to do")
        self.stop_broker()
        if any(self.journal.glob("*.msgpack")):  # none where all was over before it was replaced
            self.journals.append(self.journal)

    def close(self) -> None:
        """End whatever the round started."""
        self.host.stop()


def _listen(reading: int, accepted: dict[int, int]) -> None:
    with os.fdopen(reading) as pipe:
        for line in pipe:
            with contextlib.suppress(ValueError):  # a line that a kill cut short
                number, moment = line.split()
                accepted[int(number)] = int(moment)


def free_ports() -> int:
    """Return the first of three ports that are free."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if port > 65_000:
                continue
            with contextlib.suppress(OSError), socket.socket() as a, socket.socket() as b:
                a.bind(("127.0.0.1", port + 1))
                b.bind(("127.0.0.1", port + 2))
                return port
