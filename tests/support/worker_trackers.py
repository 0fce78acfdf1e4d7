"""Trackers that misbehave in a worker, each in its own way."""

import contextlib
import os
import resource
import signal
import sys
import time

import psutil

from drytorch_trackers import CSVDumper, Tracker, TrackerContext


class Raising(Tracker):
    """Raises at every event."""

    def notify(self, event: object) -> None:  # noqa: ARG002  # as in the base class
        """Raise."""
        raise RuntimeError("no")


class RaisingOnce(Tracker):
    """Raises at the third metric, always."""

    def on_metric(self, event: object) -> None:
        """Raise at epoch 3, else write a line."""
        if event.epoch == 3:  # type: ignore[attr-defined]  # a MetricEvent
            raise RuntimeError("three")
        with (self.context.par_dir / "once.txt").open("a") as file:
            file.write(f"{event.epoch}\n")  # type: ignore[attr-defined]  # as above


class Sleeping(Tracker):
    """Sleeps for an hour at the first metric."""

    def on_metric(self, event: object) -> None:  # noqa: ARG002  # as in the base class
        """Sleep."""
        time.sleep(3600)


class Leaving(Tracker):
    """Calls sys.exit at the third metric."""

    def on_metric(self, event: object) -> None:
        """Exit."""
        if event.epoch == 3:  # type: ignore[attr-defined]  # a MetricEvent
            sys.exit(3)


class Rude(Tracker):
    """Moves away, closes what it finds, and prints megabytes."""

    def on_metric(self, event: object) -> None:  # noqa: ARG002  # as in the base class
        """Do it all."""
        os.chdir("/")
        sys.stdout.write("x" * 1_000_000 + "\n")
        sys.stdout.close()
        sys.stderr.close()
        sys.stdout.write("still here\n")
        with contextlib.suppress(OSError):  # it is closed already
            os.close(1)
        sys.stdout.write("in the log\n")


class Paced(Tracker):
    """Takes ten milliseconds for each metric, and writes a line."""

    def on_metric(self, event: object) -> None:
        """Write slowly."""
        time.sleep(0.01)
        with (self.context.par_dir / "paced.txt").open("a") as file:
            file.write(f"{event.epoch}\n")  # type: ignore[attr-defined]  # a MetricEvent


class NotBuilt(Tracker):
    """Raises when it is built."""

    def __init__(self) -> None:
        raise RuntimeError("no constructor")


class Printing(Tracker):
    """Prints a line for each metric."""

    def on_metric(self, event: object) -> None:
        """Print."""
        sys.stderr.write(f"epoch {event.epoch}\n")  # type: ignore[attr-defined]  # a MetricEvent


class KilledBeforeItsCommit(CSVDumper):
    """Has its process killed between handling and committing, until a file counts three kills."""

    has_handled = False

    def flush(self) -> None:
        """Write, then die."""
        super().flush()
        kills = self.context.par_dir / "kills"
        if not self.has_handled or (kills.exists() and kills.stat().st_size >= 3):
            return
        with kills.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    def on_metric(self, event: object) -> None:
        """Note that there is something to lose."""
        super().on_metric(event)  # type: ignore[arg-type]  # a MetricEvent
        self.has_handled = True


class Leaking(Tracker):
    """Keeps 16 MiB for each metric, in a process that may have 128 MiB more than at its start."""

    def setup(self, context: TrackerContext) -> None:
        """Set the limit that an operating system may have set."""
        super().setup(context)
        limit = psutil.Process().memory_info().vms + (128 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        self.kept: list[bytes] = []

    def on_metric(self, event: object) -> None:  # noqa: ARG002  # as in the base class
        """Leak."""
        self.kept.append(b"x" * (16 << 20))


class Flooding(Tracker):
    """Prints a megabyte for each metric."""

    def on_metric(self, event: object) -> None:
        """Print."""
        sys.stdout.write("x" * 999_990 + f" {event.epoch}\n")  # type: ignore[attr-defined]  # as above


class Picky(Tracker):
    """Handles every fifteenth metric, and raises at the others."""

    def on_metric(self, event: object) -> None:
        """Raise, mostly."""
        if event.epoch % 15:  # type: ignore[attr-defined]  # a MetricEvent
            raise ValueError("not a fifteenth")


class KilledBeforeItsFlush(Tracker):
    """Keeps what it is given in memory until it is flushed, and is killed thrice before it is."""

    def setup(self, context: TrackerContext) -> None:
        """Begin with nothing."""
        super().setup(context)
        self.kept: list[str] = []

    def on_metric(self, event: object) -> None:
        """Keep a line."""
        self.kept.append(f"{event.epoch}\n")  # type: ignore[attr-defined]  # a MetricEvent

    def flush(self) -> None:
        """Die, or write the lines."""
        kills = self.context.par_dir / "kills"
        if self.kept and not (kills.exists() and kills.stat().st_size >= 3):
            with kills.open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        with (self.context.par_dir / "flushed.txt").open("a") as file:
            file.writelines(self.kept)
        self.kept.clear()
