"""Every test gets an environment of its own and must leave no process behind."""

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

MARK = "DRYTORCH_TEST_MARK"
UNSURE = 0.3  # seconds: in the middle of an exec a process shows an empty environment
KERNEL_THREADS = 2  # their parent's id on Linux; they never have an environment
GRACE = 1.0  # seconds: a process that a test has just killed takes a moment to vanish
SYSTEM_DEADLINE = 60.0  # seconds: a worker may first finish what it owes
# The interpreter keeps these helpers for its own whole life, whoever needed them first.
INTERPRETER_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

# Whoever runs the tests in the background has these ignored, and processes pass that on.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        _usual = signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, _usual)
# Some tests are about what an interpreter leaves in its buffers.
os.environ.pop("PYTHONUNBUFFERED", None)


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Point the user's folders at empty ones, and drop the user's own settings."""
    # Not tmp_path: the path of an ipc socket must stay below 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="dt-", dir="/tmp"))
    for name in [name for name in os.environ if name.startswith("DRYTORCH_")]:
        monkeypatch.delenv(name)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, child in (("HOME", "home"), ("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run")):
        (folder / child).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(folder / child))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_process_left_behind(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    isolated_environment: Path,  # noqa: ARG001 - its folders go after the processes that use them
) -> Iterator[None]:
    """Fail a test that leaves a process behind, detached ones included, and kill it."""
    before = set(psutil.process_iter())
    mark = str(uuid.uuid4())
    monkeypatch.setenv(MARK, mark)
    yield
    leftovers = _wait_until_gone(mark, before, _deadline(request))
    if leftovers:
        pytest.fail("left behind: " + "; ".join(_kill(leftovers)), pytrace=False)


def _deadline(request: pytest.FixtureRequest) -> float:
    marker = request.node.get_closest_marker("system")
    if marker is None:
        return GRACE
    return float(marker.kwargs.get("deadline", SYSTEM_DEADLINE))


def _wait_until_gone(
    mark: str, before: set[psutil.Process], seconds: float
) -> list[psutil.Process]:
    start = time.monotonic()
    while True:
        found, unsure = _leftovers(mark, before)
        waited = time.monotonic() - start
        if (not found or waited > seconds) and (not unsure or waited > UNSURE):
            return found
        time.sleep(0.02)


def _leftovers(
    mark: str, before: set[psutil.Process]
) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Return the processes that the test left, and new ones that cannot be told yet."""
    found = set(psutil.Process().children(recursive=True)) - before
    unsure = []
    for process in set(psutil.process_iter()) - before - found:
        carries = _carries(process, mark)
        if carries:
            found.add(process)
        elif carries is None:
            unsure.append(process)
    return [process for process in found if _counts(process)], unsure


def _carries(process: psutil.Process, mark: str) -> bool | None:
    """Tell whether a process was started with the mark; None: it is just being started."""
    try:
        environment = process.environ()
        if environment or process.status() == psutil.STATUS_ZOMBIE:
            return environment.get(MARK) == mark
        return False if process.ppid() == KERNEL_THREADS else None
    except (psutil.Error, OSError):  # gone, a zombie, or somebody else's
        return False


def _counts(process: psutil.Process) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return not any(helper in _command(process) for helper in INTERPRETER_HELPERS)
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def _kill(processes: list[psutil.Process]) -> list[str]:
    described = []
    for process in processes:
        try:
            described.append(f"{process.pid} {_command(process)!r}")
            process.kill()
        except psutil.NoSuchProcess:
            described.append(f"{process.pid}, gone by now")
    psutil.wait_procs(processes, timeout=5)
    return described
