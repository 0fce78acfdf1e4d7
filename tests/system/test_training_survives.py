"""A training goes on as if nothing had happened, whatever happens to broker and workers."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hosts import SCRIPTS, Host, eventually, result_of

EPOCHS = 80
CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.py"
STALL = 0.05  # seconds that one call may take beyond what a bare sleep oversleeps


def half_way(par_dir: Path) -> None:
    """Wait until the training is in its middle, as its own CSV file shows."""

    def some_rows() -> bool:
        return any(csv.read_text().count("\n") > 5 for csv in par_dir.rglob("Trainer.csv"))

    eventually(some_rows, 60, "a first few rows")


def freeze(processes: list[psutil.Process]) -> Callable[[], object]:
    """Freeze processes, and return what lets them go on."""
    assert processes
    for process in processes:
        process.suspend()

    def thaw() -> None:
        for process in processes:
            process.resume()

    return thaw


def no_broker(host: Host, par_dir: Path) -> Callable[[], object]:  # noqa: ARG001 - as the others
    """Put a file where the journal's folder should be, so that no broker can start."""
    obstacle = Path(host.environment["XDG_STATE_HOME"], "drytorch", socket.gethostname(), "journal")
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()
    return obstacle.unlink


def broker_killed(host: Host, par_dir: Path) -> Callable[[], object]:
    """Kill the broker in the middle."""
    half_way(par_dir)
    for broker in host.brokers():
        broker.kill()
    return lambda: None


def broker_frozen(host: Host, par_dir: Path) -> Callable[[], object]:
    """Freeze the broker in the middle, and let it go on after the end."""
    half_way(par_dir)
    return freeze(host.brokers())


def workers_frozen(host: Host, par_dir: Path) -> Callable[[], object]:
    """Freeze all workers in the middle, and let them go on after the end."""
    half_way(par_dir)
    return freeze(host.workers())


def own_lines(stderr: str) -> list[str]:
    """Return the lines that the client itself wrote, without those of the trackers."""
    return [line for line in stderr.splitlines() if line.startswith("drytorch:")]


FAULTS = pytest.mark.parametrize("fault", [no_broker, broker_killed, broker_frozen, workers_frozen])
Fault = Callable[[Host, Path], Callable[[], object]]


def hurt_run(
    host: Host, par_dir: Path, fault: Fault, start: Callable[[], subprocess.Popen[str]]
) -> tuple[subprocess.CompletedProcess[str], Callable[[], object]]:
    """Run a training to its end under a fault, and return it and what mends the fault."""
    if fault is no_broker:
        host.environment["XDG_STATE_HOME"] = str(host.folder / "state")
        mend = fault(host, par_dir)
        training = start()
    else:
        training = start()
        mend = fault(host, par_dir)
    finished = host.finish(training)
    assert finished.returncode == 0, finished.stderr
    said = own_lines(finished.stderr)
    assert len([line for line in said if "warning" in line.lower()]) <= 1, said
    return finished, mend


def mend_and_sync(host: Host, mend: Callable[[], object]) -> None:
    """Undo a fault, and deliver what is left."""
    mend()
    synced = host.drytorch("sync")
    assert synced.returncode == 0, synced.stderr


@pytest.mark.system
@pytest.mark.alone
@pytest.mark.timeout(180)
@FAULTS
def test_a_training_does_not_notice(host: Host, tmp_path: Path, fault: Fault) -> None:
    """A fault outside changes neither output, exit code nor pace, and costs no result (A8)."""
    quiet = tmp_path / "quiet"
    undisturbed = host.finish(host.train(quiet, EPOCHS, PAUSE="0.001"))
    assert undisturbed.returncode == 0, undisturbed.stderr
    eventually(lambda: not host.workers(), 20, "the quiet run's workers leave")
    expected = (quiet / CSV).read_bytes()
    assert expected.count(b"\n") == EPOCHS + 1
    host.broker("stop")

    hurt = tmp_path / "hurt"
    finished, mend = hurt_run(host, hurt, fault, lambda: host.train(hurt, EPOCHS))
    measured = result_of(finished)
    assert measured["raised"] == 0
    assert measured["epochs"] == EPOCHS
    assert measured["longest"] - measured["overslept"] <= STALL
    mend_and_sync(host, mend)
    eventually(
        lambda: (hurt / CSV).exists() and (hurt / CSV).read_bytes() == expected,
        60,
        "the hurt run's CSV equals the quiet one's",
    )
    assert '"completed"' in host.drytorch("runs", "--json").stdout


@pytest.mark.system
@pytest.mark.alone
@pytest.mark.timeout(240)
@FAULTS
def test_the_example_does_not_notice(host: Host, tmp_path: Path, fault: Fault) -> None:
    """The digits example prints, learns and ends the same under a fault, at the same pace."""
    host.environment["MEASURED"] = str(tmp_path / "measured.json")

    def start(par_dir: Path) -> subprocess.Popen[str]:
        script = SCRIPTS / "timed_digits.py"
        arguments = ("--epochs", "15", "--par-dir", par_dir)
        return host.start(sys.executable, script, EXAMPLE, *arguments)

    def files(par_dir: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in par_dir.rglob("csv_metrics/**/*.csv")}

    quiet, hurt = tmp_path / "quiet", tmp_path / "hurt"
    undisturbed = host.finish(start(quiet))
    assert undisturbed.returncode == 0, undisturbed.stderr
    eventually(lambda: not host.workers(), 20, "the quiet run's workers leave")
    assert files(quiet).keys() == {"Trainer.csv", "Validator.csv", "Tester.csv"}
    host.broker("stop")

    finished, mend = hurt_run(host, hurt, fault, lambda: start(hurt))
    assert finished.stdout == undisturbed.stdout
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert measured["longest"] - measured["overslept"] <= STALL
    mend_and_sync(host, mend)
    eventually(
        lambda: files(hurt) == files(quiet), 60, "the CSV files equal those of the quiet run"
    )
