"""What is done to a tool's helper processes and to its disk, in the middle of the loop."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

#: A loop that hangs in a frozen or slow helper would never come to the step that mends it.
AT_MOST = 10.0
_DISK = "64m"
_SLOW, _FAST = 0.09, 0.01  # seconds: a slow helper runs a tenth of the time

Helpers = Callable[[], list[psutil.Process]]


class Fault:
    """Something that breaks at one step and is mended at a later one, or after ten seconds."""

    def __init__(self, helpers: Helpers, folder: Path) -> None:
        self.helpers = helpers
        self.folder = folder
        self._mended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Break it."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        time.sleep(0.05)

    def end(self) -> None:
        """Mend it."""
        self._mended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        self.hurt()
        self._mended.wait(AT_MOST)
        self.heal()

    def hurt(self) -> None:
        """Do the damage."""

    def heal(self) -> None:
        """Undo it."""


class Killed(Fault):
    """All helpers get SIGKILL."""

    def hurt(self) -> None:
        """Kill them."""
        for each in self.helpers():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


class Frozen(Fault):
    """All helpers stand still."""

    def hurt(self) -> None:
        """Stop them."""
        self.victims = self.helpers()
        _each(self.victims, psutil.Process.suspend)

    def heal(self) -> None:
        """Let them go on."""
        _each(self.victims, psutil.Process.resume)


class Slow(Fault):
    """All helpers run a tenth of the time."""

    def _run(self) -> None:
        end = time.monotonic() + AT_MOST
        victims = self.helpers()
        while not self._mended.is_set() and time.monotonic() < end:
            _each(victims, psutil.Process.suspend)
            time.sleep(_SLOW)
            _each(victims, psutil.Process.resume)
            time.sleep(_FAST)


class DiskFull(Fault):
    """The file system that everything is written to has no room."""

    def hurt(self) -> None:
        """Fill it."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1 << 8, 1):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(size))

    def heal(self) -> None:
        """Make room."""
        (self.folder / "ballast").unlink()


FAULTS: dict[str, type[Fault]] = {
    "none": Fault,
    "killed": Killed,
    "frozen": Frozen,
    "slow": Slow,
    "disk full": DiskFull,
}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 64 MiB; only root can."""
    folder.mkdir()
    options = f"size={_DISK},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _each(victims: list[psutil.Process], action: Callable[[psutil.Process], None]) -> None:
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            action(victim)
