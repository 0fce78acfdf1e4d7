"""A worker that cannot rebuild what was handed over says so in one line, and leaves for good."""

from pathlib import Path
from typing import Any

import pytest

from drytorch_client.declarations import Declaration, declare
from drytorch_client.workers.supervisor import FINAL_CODES
from drytorch_trackers import Tracker, exit_codes
from hosts import Host
from working import Workers, spec_of


class Unpicklable:
    """Can be pickled, but not be read back."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what fails in the worker."""
        return int, ("no number",)


class Any_(Tracker):  # noqa: N801 - a class of a script may be named anyhow
    """Takes an argument."""

    def __init__(self, argument: Any) -> None:
        self.argument = argument


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        (
            declare(Any_([Unpicklable()]), "mine"),
            "Tracker mine of the training's script cannot be rebuilt in a worker (ValueError: inv",
        ),
        (
            Declaration(name="gone", target="__main__:Gone", handed_over=True),
            "Tracker gone is defined in a training that is gone",
        ),
    ],
)
def test_what_cannot_be_rebuilt_is_one_line(
    host: Host, workers: Workers, declaration: Declaration, said: str
) -> None:
    """A worker without its tracker leaves with 78, which no training starts again, and one line."""
    spec = spec_of(host, "ipc:///nowhere", declarations=[declaration], owed="")
    code, err = workers.run(spec)
    assert code == exit_codes.CONFIG
    assert code in FINAL_CODES
    (line,) = err.splitlines()
    assert said in line


def test_modules_are_found_where_the_training_found_them(
    host: Host, workers: Workers, tmp_path: Path
) -> None:
    """A folder that the training added to its path is on the worker's, behind all others."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "of_a_notebook.py").write_text(
        "import sys\n"
        "from drytorch_trackers import Tracker\n"
        "class Mine(Tracker):\n"
        "    def __init__(self):\n"
        "        raise RuntimeError(f'found in {sys.path[-2]}')\n"
    )
    (folder / "pydantic.py").write_text("raise RuntimeError('the wrong one')\n")
    declaration = Declaration(name="mine", target="of_a_notebook:Mine")
    spec = spec_of(host, "ipc:///nowhere", declarations=[declaration], path=[str(folder)], owed="")
    code, err = workers.run(spec)
    assert code == exit_codes.DEAD_LETTERS
    assert f"mine cannot be built: RuntimeError: found in {folder}" in err
