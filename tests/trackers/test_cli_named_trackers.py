"""Each command that takes a tracker's name looks at the tracker before it does anything."""

from pathlib import Path

import pytest

from hosts import Host

OWN = """
from drytorch_trackers import Tracker

class Needy(Tracker):
    def __init__(self, metric):
        pass

class Typo(Tracker):
    async def on_metric(self, event):
        pass
"""
COMMANDS = {
    "run": ["run", "-t", "TRACKER", "--", "touch", "done"],
    "track": ["track", "TRACKER"],
    "replay": ["replay", "journal.msgpack", "--to", "TRACKER"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_tracker_is_refused(host: Host, tmp_path: Path, command: str) -> None:
    """A tracker that lacks an option, or could never be called, ends each command with 64."""
    (tmp_path / "own.py").write_text(OWN)
    for name, said in (
        ("own.py:Needy", "Needy needs metric: add -o metric=..."),
        ("own:Typo", "Typo.on_metric is asynchronous, which nobody would wait for: write `def on"),
    ):
        done = host.drytorch(*[name if word == "TRACKER" else word for word in COMMANDS[command]])
        assert (done.returncode, done.stdout) == (64, "")
        (line,) = done.stderr.splitlines()
        assert said in line
    assert not (tmp_path / "done").exists()
