"""A training goes on as if nothing had happened, whatever happens to broker and workers."""

import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hosts import Host, eventually, result_of

EPOCHS = 80
HALF = EPOCHS // 2
CSV = Path("csv_metrics", "Exp", "r", "net", "Trainer.csv")
STALL = 0.05  # seconds that one call may take beyond what a bare sleep oversleeps


def half_way(par_dir: Path) -> None:
    """Wait until the training is in its middle, as its own CSV file shows."""
    csv = par_dir / CSV
    eventually(lambda: csv.exists() and csv.read_text().count("\n") > 5, 30, "a first few rows")


def thaw(frozen: list[psutil.Process]) -> None:
    """Let frozen processes go on."""
    for process in frozen:
        process.resume()


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
    frozen = host.brokers()
    assert frozen
    for broker in frozen:
        broker.suspend()
    return lambda: thaw(frozen)


def workers_frozen(host: Host, par_dir: Path) -> Callable[[], object]:
    """Freeze all workers in the middle, and let them go on after the end."""
    half_way(par_dir)
    frozen = host.workers()
    assert frozen
    for worker in frozen:
        worker.suspend()
    return lambda: thaw(frozen)


def own_lines(stderr: str) -> list[str]:
    """Return the lines that the client itself wrote, without those of the trackers."""
    return [line for line in stderr.splitlines() if line.startswith("drytorch:")]


@pytest.mark.system
@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", [no_broker, broker_killed, broker_frozen, workers_frozen])
def test_a_training_does_not_notice(
    host: Host, tmp_path: Path, fault: Callable[[Host, Path], Callable[[], object]]
) -> None:
    """A fault outside changes neither output, exit code nor pace, and costs no result."""
    quiet = tmp_path / "quiet"
    undisturbed = host.finish(host.train(quiet, EPOCHS, PAUSE="0.001"))
    assert undisturbed.returncode == 0, undisturbed.stderr
    eventually(lambda: not host.workers(), 20, "the quiet run's workers leave")
    expected = (quiet / CSV).read_bytes()
    assert expected.count(b"\n") == EPOCHS + 1
    host.broker("stop")

    hurt = tmp_path / "hurt"
    if fault is no_broker:
        host.environment["XDG_STATE_HOME"] = str(tmp_path / "state")
        mend = fault(host, hurt)
        training = host.train(hurt, EPOCHS)
    else:
        training = host.train(hurt, EPOCHS)
        mend = fault(host, hurt)
    finished = host.finish(training)
    measured = result_of(finished)
    assert finished.returncode == 0
    assert measured["raised"] == 0
    assert measured["epochs"] == EPOCHS
    assert measured["longest"] - measured["overslept"] <= STALL
    said = own_lines(finished.stderr)
    assert len([line for line in said if "warning" in line.lower()]) <= 1, said

    mend()
    synced = host.drytorch("sync")
    assert synced.returncode == 0, synced.stderr
    eventually(
        lambda: (hurt / CSV).exists() and (hurt / CSV).read_bytes() == expected,
        60,
        "the hurt run's CSV equals the quiet one's",
    )
    listed = host.drytorch("runs", "--json")
    assert '"completed"' in listed.stdout, listed
