"""The console shows what DRYTorch's does, in each mode, on a terminal, in a pipe and in a notebook.

The golden files are DRYTorch's own output; `python tests/support/golden.py` writes them anew.
"""

import importlib.metadata
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import golden
from hosts import Host, eventually

SCRIPT = "golden_bus"


def ours(output: str, folder: Path) -> str:
    """Return what is left of our output, without the lines that say where results are."""
    return golden.cleaned(golden.OURS.sub("", output), folder)


@pytest.mark.system(deadline=30)
@pytest.mark.parametrize("situation", golden.SITUATIONS)
def test_console(host: Host, tmp_path: Path, situation: str) -> None:
    """For the same training the same screen is left behind, and Hydra's job log has the lines."""
    places = {place: tmp_path / place for place in ("terminal", "pipe")}
    with ThreadPoolExecutor() as pool:
        outputs = {
            place: pool.submit(golden.runner(place), SCRIPT, situation, folder, host.environment)
            for place, folder in places.items()
        }
    for place, folder in places.items():
        assert ours(outputs[place].result(), folder) == golden.golden(situation, place)
        if situation == "hydra":
            assert golden.job_log(folder) == (golden.GOLDEN / "hydra.job-log.txt").read_text()
    eventually(lambda: not host.workers(), 20, "the workers leave")


def test_golden_files_are_of_the_installed_drytorch() -> None:
    """Whoever installs another DRYTorch writes them anew: python tests/support/golden.py."""
    assert golden.VERSION.read_text() == f"{importlib.metadata.version('drytorch')}\n"
    places = ("terminal", "pipe", "kernel")
    expected = {f"{situation}.{place}.txt" for situation in golden.SITUATIONS for place in places}
    others = {"hydra.job-log.txt", golden.VERSION.name}
    assert {file.name for file in golden.GOLDEN.iterdir()} == expected | others


CELL = """
import os, sys
from pathlib import Path
for name in [name for name in sys.modules if name.partition(".")[0] in ("tqdm", "golden_bus")]:
    del sys.modules[name]
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != "Hiding"]
os.environ.update({changes!r})
if not {bars!r}:
    exec(compile(Path({hiding!r}).read_text(), "hiding", "exec"), dict(__name__="hiding"))
import golden_bus
golden_bus.train({par_dir!r})
"""


@pytest.mark.system(deadline=30)
def test_console_in_a_notebook(host: Host, tmp_path: Path) -> None:
    """Cells show it too, each mode chosen where another one was before."""
    codes = []
    for situation, (mode, bars) in golden.SITUATIONS.items():
        changes = golden.environment(SCRIPT, situation, tmp_path / situation)
        hiding = golden.hiding(SCRIPT) / "sitecustomize.py"
        codes.append(
            CELL.format(changes=changes, bars=bars, hiding=str(hiding), par_dir=changes["PAR_DIR"])
        )
        assert mode == changes["MODE"]
    start = {"PYTHONPATH": str(golden.SCRIPTS), "PYTHONWARNINGS": "ignore"}
    outputs = golden.run_cells(codes, tmp_path, {**os.environ, **host.environment, **start})
    for situation, output in zip(golden.SITUATIONS, outputs, strict=True):
        one_name = re.sub(r"Golden_\d", "Golden", output)  # a process counts its experiments
        shown = ours(one_name, tmp_path / situation)
        assert shown == golden.golden(situation, "kernel"), situation
    assert not host.workers()
