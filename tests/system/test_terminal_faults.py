"""What happens to the terminal, pipe or file that a training prints to is no matter to it."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import emitting
from hosts import SCRIPTS, Host, eventually
from screen import show
from terminals import CTRL_C, CTRL_Q, CTRL_S, Terminal

SCRIPT = str(SCRIPTS / "short.py")
Opener = Callable[..., Terminal]


@pytest.fixture
def opened(host: Host) -> Iterator[Opener]:
    """Return what opens a terminal with a program in it."""
    terminals: list[Terminal] = []

    def open_with(*command: str, **environment: str) -> Terminal:
        terminals.append(Terminal(host, *command, **environment))
        return terminals[-1]

    yield open_with
    for terminal in terminals:
        terminal.close()


def table(folder: Path) -> list[int]:
    """Return the epochs in the CSV file; none where there is no file yet."""
    file = folder / "out" / "csv_metrics" / "Exp" / "r" / "net" / "T.csv"
    lines = file.read_text().splitlines()[1:] if file.exists() else []
    return [int(line.split(",")[2]) for line in lines]


def exists(file: Path) -> Callable[[], bool]:
    """Return what tells whether a file is there."""
    return file.exists


@pytest.mark.system(deadline=40)
@pytest.mark.parametrize("how", ["stopped by Ctrl-S", "read by nobody"])
def test_terminal_takes_nothing(host: Host, opened: Opener, tmp_path: Path, how: str) -> None:
    """A terminal that takes nothing stalls neither training nor CSV, and shows all once it does."""
    epochs = 12 if "Ctrl-S" in how else 400  # more than fits into a terminal that nobody reads
    terminal = opened(sys.executable, SCRIPT, str(epochs), "0.001", EXIT_WAIT="1")
    if "Ctrl-S" in how:
        eventually(exists(tmp_path / "training"), 30, "the training starts")
        terminal.press(CTRL_S)
    eventually(exists(tmp_path / "ended"), 60, "the training ends")
    assert terminal.program.wait(20) == 0
    eventually(lambda: table(tmp_path) == list(range(1, epochs + 1)), 30, "the CSV is complete")
    assert host.workers(), "the console has nowhere to print"
    if "Ctrl-S" in how:
        assert "Stopping run" not in terminal.read()
        terminal.press(CTRL_Q)
    eventually(lambda: "Stopping run: r" in terminal.read(), 30, "the terminal shows the rest")
    assert f"====> Epoch {epochs}/{epochs}:" in show(terminal.read())
    eventually(lambda: not host.workers(), 30, "the workers leave")


@pytest.mark.system(deadline=40)
def test_ctrl_c(host: Host, opened: Opener, tmp_path: Path) -> None:
    """Ctrl-C ends the training as ever, and trackers finish what was emitted (A11, D17)."""
    terminal = opened(sys.executable, SCRIPT, "100000", "0.002")
    eventually(exists(tmp_path / "logged"), 30, "the training logs")
    terminal.press(CTRL_C)
    eventually(lambda: terminal.read() and terminal.program.poll() is not None, 60, "it ends")
    shown = show(terminal.read())
    assert "KeyboardInterrupt" in shown
    assert "[time] - Experiment: Exp - Stopping run: r" in shown
    emitted = emitting.numbers()
    assert emitted
    assert table(tmp_path) == emitted
    (entry,) = json.loads((tmp_path / "out" / ".drytorch" / "Exp" / "runs.json").read_text())
    assert entry["status"] == "failed"
    assert not host.workers()


@pytest.mark.system(deadline=40)
@pytest.mark.parametrize("shield", ["nohup", 'sh -c \'trap "" HUP; exec "$0" "$@"\''])
def test_window_is_closed(host: Host, opened: Opener, tmp_path: Path, shield: str) -> None:
    """A training that outlives its terminal goes on reporting, and leaves nobody behind."""
    command = [*shlex.split(shield), sys.executable, SCRIPT, "40", "0.005"]
    terminal = opened(*command)
    eventually(exists(tmp_path / "logged"), 30, "the training logs")
    terminal.close_window()
    assert terminal.program.wait(90) == 0
    assert table(tmp_path) == list(range(1, 41))
    eventually(lambda: not host.workers(), 30, "the workers leave")
    if shield == "nohup":
        assert "Stopping run: r" in (tmp_path / "nohup.out").read_text()


#: By name, what follows the training's command on a shell's line.
LINES = {
    "stderr closed": "{python} {script} 2 0 2>&-",
    "all closed": "{python} {script} 2 0 <&- >&- 2>&-",
    "disk full": "{python} {script} 2 0 >/dev/full 2>&1",
    "reader gone": "{python} {script} 2 0 2>&1 | head -n 1",
    "from stdin": "{python} - 2 0 <{script}",
    "from the command line": '{python} -c "$(cat {script})" 2 0',
}


@pytest.mark.system(deadline=40)
def test_odd_streams(host: Host, tmp_path: Path) -> None:
    """With streams closed, full or abandoned, and scripts without a file, all CSVs are whole."""
    started: dict[str, subprocess.Popen[str]] = {}
    for name, line in LINES.items():
        (tmp_path / name).mkdir()
        full = f"cd {shlex.quote(name)}; set -o pipefail; " + line.format(
            python=sys.executable, script=SCRIPT
        )
        started[name] = host.start("bash", "-c", full)
    shown = {}
    for name, process in started.items():
        finished = host.finish(process, 100)
        assert (finished.returncode, table(tmp_path / name)) == (0, [1, 2]), name
        shown[name] = finished.stdout + finished.stderr
    assert shown["reader gone"].startswith("drytorch: run r of Exp reports to")
    for name in ("from stdin", "from the command line"):
        assert "[time] - Experiment: Exp - Stopping run: r" in show(shown[name])
    eventually(lambda: not host.workers(), 30, "the workers leave")


OPEN_RUN = """
from drytorch_client import Experiment
run = Experiment(None, name="Exp", par_dir="out", exit_wait=40).create_run(run_id="r")
run.start()
run.log({"loss": 0.5})
"""


@pytest.mark.system(deadline=40)
def test_run_that_nobody_stops(host: Host) -> None:
    """The interpreter's end stops an open run, and waits for its workers as a stop does."""
    finished = host.run(sys.executable, "-c", OPEN_RUN)
    assert "[time] - Experiment: Exp - Stopping run: r" in show(finished.stderr)
    assert "drytorch: run r of Exp completed; results under" in finished.stderr
    assert "not finished" not in finished.stderr
    assert not host.workers()


USERS_TESTS = """
import runpy, sys

def test_training(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["short.py", "2", "0"])
    runpy.run_path({script!r})
    shown = capsys.readouterr()
    assert "Stopping run: r" in shown.err
    assert shown.out == ""

def test_next(capsys):
    print("mine")
    assert capsys.readouterr() == ("mine\\n", "")
"""


@pytest.mark.system(deadline=40)
def test_captured_by_pytest(host: Host, tmp_path: Path) -> None:
    """Lines of a run are captured in the test that it ran in, and in no other."""
    (tmp_path / "test_users.py").write_text(USERS_TESTS.format(script=SCRIPT))
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", "."]
    finished = host.run(sys.executable, "-m", "pytest", *options, "test_users.py")
    assert finished.returncode == 0, finished.stdout
    assert table(tmp_path) == [1, 2]
    assert not host.workers()
