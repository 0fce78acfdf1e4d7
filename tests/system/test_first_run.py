"""A new user's five minutes: the README's ten lines, and the first tutorial with its commands."""

import re
import sqlite3
import sys
from pathlib import Path

import pytest

from doc_blocks import save_blocks
from hosts import BIN, Host, eventually
from pages import ROOT, code_of, text_of

PAGE = ROOT / "docs" / "tutorial" / "first-run.md"
#: Exit codes that the page leads to on purpose, by the beginning of the command.
CODES = {"python dies.py": 128 + 9}


@pytest.mark.system(deadline=60)
def test_ten_lines_of_the_readme_run(host: Host) -> None:
    """The README's block, pasted into a file, trains and leaves its results where it says."""
    (block,) = code_of(ROOT / "README.md", "python")
    script = host.folder / "train.py"
    script.write_text(block)
    done = host.run(sys.executable, script)
    assert done.returncode == 0, done.stderr
    (written,) = (host.folder / "experiments").rglob("Trainer.csv")
    assert [line.split(",")[2] for line in written.read_text().splitlines()[1:]] == [
        str(epoch) for epoch in range(1, 11)
    ]
    assert len([line for line in block.splitlines() if line.strip()]) <= 18


@pytest.mark.system(deadline=60)
def test_the_tutorial_s_scripts_and_commands_run(
    host: Host, isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of the page does what the page says, on the two scripts of the page."""
    del host.environment["XDG_STATE_HOME"]  # the page names the default place
    monkeypatch.delenv("XDG_STATE_HOME")
    host.environment["PATH"] = f"{BIN}:{host.environment['PATH']}"
    save_blocks(PAGE, host.folder)
    printed = {}
    for command in commands():
        done = host.run("bash", "-c", command)
        # bash replaces itself by a lone command: a signal then shows as a negative code
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        assert code == CODES.get(command, 0), (command, done.stdout, done.stderr)
        printed[command] = done.stdout
        if command == "drytorch sync":
            eventually(lambda: rows_of_the_dead(host.folder) == 1001, 20, "all rows are there")
            eventually(lambda: "lost" in of_the_dead(host), 20, "the run is lost")
    found = printed["find experiments -name '*.csv' -o -name '*.yaml' -o -name '*.pt'"]
    assert {Path(line).suffix for line in found.splitlines()} == {".csv", ".yaml", ".pt"}
    assert ": complete," in printed["drytorch verify experiments"]
    assert re.search(r"^Dies .* lost ", printed["drytorch runs --experiment Dies"], re.MULTILINE)
    assert "All is well" in printed["drytorch doctor"]
    assert list((isolated_environment / "home" / ".local" / "state").rglob("*.msgpack"))
    with sqlite3.connect(host.folder / "metrics.db") as database:
        ((count,),) = database.execute("SELECT count(*) FROM step_logs").fetchall()
    database.close()
    assert count == 1000


def of_the_dead(host: Host) -> str:
    """Return what `drytorch runs` says of the killed run."""
    return host.drytorch("runs", "--experiment", "Dies").stdout


def rows_of_the_dead(folder: Path) -> int:
    """Return the number of lines of the killed run's file."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("run.steps.csv"))


def commands() -> list[str]:
    """Return the page's commands, but for those that install."""
    text = text_of(PAGE)
    found = re.findall(r"^ {4}(\S.*)$", text[text.index("## Train") :], re.MULTILINE)
    assert len(found) >= 10
    return found
