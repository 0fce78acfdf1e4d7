"""Twenty trials at once, on a host without a broker: all is written, and nothing stays behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drytorch_schemas.folders import journal_dir, owed_dir, spool_dir
from hosts import SCRIPTS, Host, eventually

TRIALS = 20
EPOCHS = 5
#: Runs a script whose client starts a broker that leaves after 3 idle seconds instead of 30.
SHORT = """
import runpy, sys
from drytorch_client import broker_start
*command, _ = broker_start._COMMAND
broker_start._COMMAND = (*command, "3")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def trial(host: Host, number: int) -> subprocess.Popen[str]:
    """Start a trial."""
    script = SCRIPTS / "trial.py"
    return host.start(
        sys.executable, "-c", SHORT, script, host.folder / "out", str(number), str(EPOCHS)
    )


def files_of(out: Path, number: int) -> dict[str, int]:
    """Return the files of a trial with the number of their lines; times are left out of names."""
    found = {}
    for kind in ("csv_metrics", "metadata"):
        folder = out / kind / "Sweep" / f"trial-{number}"
        for file in folder.rglob("*"):
            if file.is_file():
                name = "/".join(part.partition("_20")[0] for part in file.relative_to(folder).parts)
                found[name] = file.read_bytes().count(b"\n")
    return found


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(300)
def test_twenty_trials_at_once(host: Host) -> None:
    """Each trial writes all that one alone writes, they share one broker, and all of it leaves."""
    trials = [trial(host, number) for number in range(TRIALS)]
    for number, process in enumerate(trials):
        finished = host.finish(process, 120)
        assert finished.returncode == 0, finished.stderr
        assert f"run trial-{number} of Sweep completed" in finished.stderr
        assert not any(word in finished.stderr for word in ("Warning", "Traceback", "drytorch w"))
    eventually(lambda: not host.workers(), 60, "the workers leave")
    out = host.folder / "out"
    for number in range(TRIALS):
        assert files_of(out, number) == {
            "line/Trainer.csv": EPOCHS + 1,
            "config": 2,
            "line/architecture.yaml": 2,
            "line/Trainer": 1,
        }
    registry = json.loads((out / ".drytorch" / "Sweep" / "runs.json").read_text())
    assert sorted(each["id"] for each in registry) == sorted(f"trial-{n}" for n in range(TRIALS))
    assert {each["status"] for each in registry} == {"completed"}
    log = (journal_dir() / "broker.log").read_text()
    assert log.count("listening") == 1, log
    assert list(owed_dir().iterdir()) == []
    eventually(lambda: not host.brokers(), 60, "the broker leaves when it is idle")
    assert list(spool_dir().iterdir()) == []
    listed = host.broker("status")
    assert listed.returncode == 69
