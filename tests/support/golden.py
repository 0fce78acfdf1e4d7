"""What DRYTorch's console shows for one training, by situation and place: the golden files.

`python tests/support/golden.py` writes them anew, by DRYTorch itself. That takes minutes: each is a
process of its own.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import nbclient
import nbformat
import pexpect
from nbformat.v4 import new_code_cell, new_notebook

from screen import show

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "console"
#: Says whose output they are.
VERSION = GOLDEN / "drytorch-version.txt"
SCRIPTS = TESTS / "system" / "scripts"
#: The mode, and whether tqdm is there.
SITUATIONS = {
    "standard": ("standard", True),
    "standard-no-tqdm": ("standard", False),
    "hydra": ("hydra", True),
    "minimal": ("minimal", True),
    "minimal-no-tqdm": ("minimal", False),
}
ROWS, COLUMNS = 50, 100
#: Lines that only ours prints: where results are.
OURS = re.compile(r"^.*?drytorch: run r of Golden .*\n?", re.MULTILINE)
JOB_TIME = re.compile(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]", re.MULTILINE)
#: By script, what hides tqdm: torch, which DRYTorch brings, cannot bear that it is not found.
HIDING = {"golden_bus": "without_tqdm", "golden_rc11": "broken_tqdm"}


def environment(script: str, situation: str, folder: Path) -> dict[str, str]:
    """Return the variables that a training in a situation needs."""
    mode, bars = SITUATIONS[situation]
    path = [str(SCRIPTS)]
    if not bars:
        path.insert(0, str(hiding(script)))
    return {
        "PYTHONWARNINGS": "ignore",
        "MODE": mode,
        "PAR_DIR": str(folder / "out"),
        "PYTHONPATH": os.pathsep.join(path),
        "OMP_NUM_THREADS": "1",
    }


def hiding(script: str) -> Path:
    """Return the folder that hides tqdm from whoever has it on PYTHONPATH."""
    return Path(__file__).parent / HIDING[script]


def golden(situation: str, place: str) -> str:
    """Return what DRYTorch shows."""
    return (GOLDEN / f"{situation}.{place}.txt").read_text()


def cleaned(output: str, folder: Path) -> str:
    """Return what is left of an output on the screen, without times and paths."""
    lines = show(output.replace("\r\n", "\n").replace(str(folder), "FOLDER"))
    return "\n".join(line for line in lines if line) + "\n"


def job_log(folder: Path) -> str:
    """Return the file of Hydra's job log, without times and paths."""
    (file,) = (folder / "job").glob("*.log")
    return JOB_TIME.sub("[time]", file.read_text().replace(str(folder), "FOLDER"))


def command(script: str, situation: str, folder: Path) -> list[str]:
    """Return the command line of a training."""
    extra = [f"hydra.run.dir={folder / 'job'}"] if situation == "hydra" else []
    return [sys.executable, str(SCRIPTS / f"{script}.py"), *extra]


def on_terminal(script: str, situation: str, folder: Path, base: Mapping[str, str]) -> str:
    """Run a training on a terminal of its own and return all that it received."""
    program, *arguments = command(script, situation, folder)
    child = pexpect.spawn(
        program,
        arguments,
        env={**base, **environment(script, situation, folder)},
        cwd=str(folder),
        dimensions=(ROWS, COLUMNS),
        encoding="utf-8",
        timeout=60,
    )
    output: str = child.read()
    child.close()
    return output


def cell(module: str) -> str:
    """Return the code that trains in a notebook."""
    return f"import {module}; {module}.train(__import__('os').environ['PAR_DIR'])"


def run_cells(codes: list[str], folder: Path, env: Mapping[str, str]) -> list[str]:
    """Run cells in one kernel, and return what each of them shows as text."""
    cells = [new_code_cell(code) for code in codes]  # type: ignore[no-untyped-call]  # nbformat's
    book = new_notebook(cells=cells)  # type: ignore[no-untyped-call]  # as above
    client = nbclient.NotebookClient(
        book, timeout=60, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=dict(env))
    return [shown(each) for each in cells]


def shown(executed: nbformat.NotebookNode) -> str:
    """Return the text of a cell's streams, stdout and stderr as they came."""
    return "".join(each["text"] for each in executed.outputs if each["output_type"] == "stream")


def piped(script: str, situation: str, folder: Path, base: Mapping[str, str]) -> str:
    """Run a training with its output in a pipe and return all of it."""
    done = subprocess.run(
        command(script, situation, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        timeout=60,
        cwd=folder,
        env={**base, **environment(script, situation, folder)},
    )
    return done.stdout.decode()  # not read as text: that makes line ends of carriage returns


def in_kernel(script: str, situation: str, folder: Path, base: Mapping[str, str]) -> str:
    """Run a training in a notebook's cell and return what that shows."""
    env = {**base, **environment(script, situation, folder)}
    (output,) = run_cells([cell(script)], folder, env)
    return output


_RUNNERS = {"terminal": on_terminal, "pipe": piped, "kernel": in_kernel}


def runner(place: str) -> Callable[[str, str, Path, Mapping[str, str]], str]:
    """Return what runs a training at a place, in a folder that it makes."""

    def run(script: str, situation: str, folder: Path, base: Mapping[str, str]) -> str:
        folder.mkdir(exist_ok=True)
        return _RUNNERS[place](script, situation, folder, base)

    return run


def main() -> None:
    """Write the golden files."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    VERSION.write_text(f"{importlib.metadata.version('drytorch')}\n")
    for situation in SITUATIONS:
        for place in _RUNNERS:
            folder = Path(tempfile.mkdtemp(prefix="golden-"))
            output = runner(place)("golden_rc11", situation, folder, os.environ)
            (GOLDEN / f"{situation}.{place}.txt").write_text(cleaned(output, folder))
            if situation == "hydra" and place == "pipe":
                (GOLDEN / "hydra.job-log.txt").write_text(job_log(folder))
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
