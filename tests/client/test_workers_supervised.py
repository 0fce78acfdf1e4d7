"""Workers are started, watched, started again and relayed; tried with small real processes."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from drytorch_client.errors import WorkerSpecError
from drytorch_client.workers import supervisor as supervising
from drytorch_client.workers.relay import inheritable
from drytorch_client.workers.spec import WorkerSpec
from drytorch_client.workers.supervisor import LocalWorker, Supervisor, worker_command
from drytorch_schemas.control import Filter
from drytorch_schemas.errors import DecodingError

#: What every fake worker begins with.
PREFACE = "import os, signal, sys, time\nfrom pathlib import Path\n"


def spec_for(folder: Path, **fields: Any) -> WorkerSpec:
    """Return a spec whose names nobody else has."""
    return WorkerSpec(
        name="fake",
        broker="ipc:///nowhere",
        declarations=[],
        filter=Filter(),
        par_dir=str(folder),
        log_file=str(folder / "fake.log"),
        **fields,
    )


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "took too long"
        time.sleep(0.01)


@pytest.fixture
def supervise(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Supervisor]]:
    """Return supervisors whose workers run a given script, with short delays."""
    monkeypatch.setattr(supervising, "_FIRST_DELAY", 0.05)
    made: list[Supervisor] = []

    def make(script: str) -> Supervisor:
        made.append(Supervisor(lambda _spec: [sys.executable, "-c", PREFACE + script]))
        return made[-1]

    yield make
    for each in made:
        for worker in list(each._workers):
            worker.exit_code = worker.exit_code or 0
            if worker._process is not None:
                worker._process.kill()
                worker._process.wait()
        if each._thread is not None:
            each._thread.join(5)


def test_a_worker_is_told_by_stdin(supervise: Callable[[str], Supervisor], tmp_path: Path) -> None:
    """The spec arrives whole over stdin, also a long one, and nothing else is on it."""
    spec = spec_for(tmp_path, script_dir="x" * 300_000)
    watch = supervise(f"Path({str(tmp_path / 'told')!r}).write_bytes(sys.stdin.buffer.read())")
    assert watch.wait([watch.start(spec)], 20) == []
    assert WorkerSpec.from_bytes((tmp_path / "told").read_bytes()) == spec


def test_the_command_line_holds_no_secret(tmp_path: Path) -> None:
    """A worker's command line has its name and its folder, and nothing of its options."""
    command = worker_command(spec_for(tmp_path))
    assert command[0] == sys.executable
    assert command[1:] == [
        *["-P", "-m", "drytorch_trackers.worker"],
        *["--name", "fake", "--par-dir", str(tmp_path)],
    ]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x01" * 100])
def test_what_is_no_spec(data: bytes) -> None:
    """Bytes that are no spec are refused with a named error."""
    with pytest.raises(WorkerSpecError, match="cannot be read") as caught:
        WorkerSpec.from_bytes(data)
    assert not isinstance(caught.value, DecodingError)


@pytest.mark.parametrize("code", [0, 64, 73, 75, 78])
def test_final_codes(supervise: Callable[[str], Supervisor], tmp_path: Path, code: int) -> None:
    """A worker that is done, or that a further start would not help, is not started again."""
    watch = supervise(f"sys.exit({code})")
    worker = watch.start(spec_for(tmp_path))
    assert watch.wait([worker], 20) == []
    assert (worker.exit_code, worker.starts) == (code, 1)


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(70)"])
def test_a_worker_that_dies_is_started_again(
    supervise: Callable[[str], Supervisor], tmp_path: Path, death: str
) -> None:
    """A worker that dies is started again until it is done."""
    count = tmp_path / "count"
    watch = supervise(
        f"count = Path({str(count)!r})\n"
        "n = len(count.read_text()) if count.exists() else 0\n"
        "count.write_text('x' * (n + 1))\n"
        f"if n < 2: {death}\n"
    )
    worker = watch.start(spec_for(tmp_path))
    assert watch.wait([worker], 20) == []
    assert (worker.exit_code, worker.starts, count.read_text()) == (0, 3, "xxx")


def test_delays_double(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The delay before a start doubles up to its bound, and is short again after a long life."""
    worker = LocalWorker(spec_for(tmp_path), worker_command, None)
    monkeypatch.setattr(supervising, "spawn", lambda *_: _Dead())
    now, due = 0.0, []
    for _ in range(9):
        worker.attend(now)
        worker.attend(now)
        due.append(worker._due - now)
        now = worker._due
    assert due == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    worker.attend(now)
    worker.attend(now + 61)
    assert worker._due - now - 61 == 0.5


class _Dead:
    """A process that has just died."""

    def poll(self) -> int:
        return -9


def test_a_worker_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No memory or no descriptors at the moment costs a delay, not the worker."""

    def fail(*_: object) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(supervising, "spawn", fail)
    worker = LocalWorker(spec_for(tmp_path), worker_command, None)
    worker.attend(0.0)
    assert worker.running
    assert worker._due > 0


def test_a_worker_that_was_let_go_is_not_started_again(
    supervise: Callable[[str], Supervisor], tmp_path: Path
) -> None:
    """At the end of the training, while others still finish, no worker is started twice."""
    count = tmp_path / "count"
    go = f"while not Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)"
    watch = supervise(f"open({str(count)!r}, 'a').write('x')\n{go}")
    worker = watch.start(spec_for(tmp_path))
    eventually(count.exists)
    watch.let_go()
    eventually(lambda: watch._thread is None)
    assert worker.running
    assert (worker.starts, count.read_text()) == (1, "x")
    (tmp_path / "go").write_text("")


def test_waiting_is_bounded(supervise: Callable[[str], Supervisor], tmp_path: Path) -> None:
    """A worker that does not end is waited for no longer than was said."""
    watch = supervise("time.sleep(60)")
    worker = watch.start(spec_for(tmp_path))
    start = time.monotonic()
    assert watch.wait([worker], 0.3) == [worker]
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_is_relayed(
    supervise: Callable[[str], Supervisor], tmp_path: Path, capsys: Any, name: str
) -> None:
    """Without a terminal a worker's output reaches whatever stands in the stream's place."""
    text = "grün " * 20_000
    watch = supervise(f"sys.{name}.reconfigure(encoding='utf-8'); print({text!r}, file=sys.{name})")
    assert watch.wait([watch.start(spec_for(tmp_path))], 20) == []
    captured = capsys.readouterr()
    assert getattr(captured, {"stdout": "out", "stderr": "err"}[name]) == text + "\n"


def test_output_of_owed_workers_goes_to_their_log(
    supervise: Callable[[str], Supervisor], tmp_path: Path, capsys: Any
) -> None:
    """A worker of an earlier run says nothing on this one's terminal."""
    watch = supervise("print('out'); print('err', file=sys.stderr)")
    assert watch.wait([watch.start(spec_for(tmp_path), quiet=True)], 20) == []
    assert capsys.readouterr() == ("", "")
    assert sorted((tmp_path / "fake.log").read_text().split()) == ["err", "out"]


def test_a_broken_stream_disturbs_nobody(
    supervise: Callable[[str], Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that raises costs the lines only."""

    class Broken:
        def write(self, _text: str) -> int:
            raise ValueError("closed")

    monkeypatch.setattr(sys, "stderr", Broken())
    watch = supervise("print('x' * 1_000_000, file=sys.stderr)")
    assert watch.wait([watch.start(spec_for(tmp_path))], 20) == []


def test_terminals_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream is handed on where it is a terminal, and only there."""
    first, second = pty.openpty()
    with os.fdopen(first, "rb", buffering=0), os.fdopen(second, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert inheritable("stderr") == second
        with open(os.devnull, "w") as null:  # noqa: PTH123 - as a shell would redirect
            monkeypatch.setattr(sys, "stderr", null)
            assert inheritable("stderr") is None
    monkeypatch.setattr(sys, "stderr", None)
    assert inheritable("stderr") is None


def test_a_signal_for_the_training_reaches_no_worker(
    supervise: Callable[[str], Supervisor], tmp_path: Path
) -> None:
    """A worker has a session of its own, so that Ctrl-C or a scheduler's signal pass it by."""
    file = tmp_path / "session"
    watch = supervise(f"Path({str(file)!r}).write_text(str(os.getsid(0)) + ' ' + str(os.getpid()))")
    assert watch.wait([watch.start(spec_for(tmp_path))], 20) == []
    session, pid = file.read_text().split()
    assert session == pid != str(os.getsid(0))


#: A training that starts a worker and is then killed, or forks and ends.
TRAINING = """
import os, signal, sys, time
from pathlib import Path
from drytorch_client.workers.spec import WorkerSpec
from drytorch_client.workers.supervisor import Supervisor
from drytorch_schemas.control import Filter
folder = sys.argv[1]
script = '''
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "begun").write_text("")
while not (folder / "go").exists(): time.sleep(0.01)
try:
    for _ in range(100): print("x" * 10_000, file=sys.stderr, flush=True)
except OSError: pass
(folder / "done").write_text("")
'''
watch = Supervisor(lambda spec: [sys.executable, "-c", script, folder])
spec = WorkerSpec(name="x", broker="ipc:///x", declarations=[], filter=Filter(), par_dir=folder)
watch.start(spec)
while not Path(folder, "begun").exists(): time.sleep(0.01)
"""


@pytest.mark.system(deadline=10)
@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "watch.let_go()", "watch.let_go(); os.abort()"]
)
def test_a_worker_outlives_its_training(tmp_path: Path, end: str) -> None:
    """A worker goes on when its training ended or was killed, and nobody reads its output (D16)."""
    command = [sys.executable, "-W", "error", "-c", TRAINING + end, str(tmp_path)]
    training = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Warning" not in training.stderr
    (tmp_path / "go").write_text("")
    eventually((tmp_path / "done").exists)


@pytest.mark.system(deadline=10)
def test_a_forked_child_keeps_no_pipe_open(tmp_path: Path) -> None:
    """A child that outlives the training does not make its worker wait for a reader."""
    fork = (
        "from drytorch_client.workers import supervisor\n"
        "supervisor._Local.supervisor = watch\n"
        "if os.fork() == 0:\n"
        "    while not Path(folder, 'done').exists(): time.sleep(0.01)\n"
        "    os._exit(0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", TRAINING + fork, str(tmp_path)]
    subprocess.run(command, stderr=subprocess.DEVNULL, timeout=60, check=False)
    (tmp_path / "go").write_text("")
    eventually((tmp_path / "done").exists)


def test_nothing_leaks(supervise: Callable[[str], Supervisor], tmp_path: Path) -> None:
    """Threads and descriptors are gone when the workers are."""
    watch = supervise("print('hello')")
    own = psutil.Process()
    assert watch.wait([watch.start(spec_for(tmp_path))], 20) == []
    eventually(lambda: watch._thread is None)
    before = own.num_fds(), own.num_threads()
    for _ in range(3):
        assert watch.wait([watch.start(spec_for(tmp_path)) for _ in range(3)], 20) == []
    eventually(lambda: watch._thread is None and watch.relay._thread is None)
    eventually(lambda: (own.num_fds(), own.num_threads()) <= before)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
