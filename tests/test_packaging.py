"""What is shipped, and what an environment is made of."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"drytorch_schemas", "drytorch_client", "drytorch_broker", "drytorch_trackers"}
PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build the wheel with the installed hatchling, so without network, and list its files."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    built = subprocess.run(
        [*command, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_holds_the_four_packages(wheel_names: list[str]) -> None:
    """The wheel's top-level names are exactly the four packages and its own metadata."""
    tops = {name.split("/")[0] for name in wheel_names}
    (metadata,) = {top for top in tops if top.endswith(".dist-info")}
    assert metadata.startswith("drytorch_bus-")
    assert tops - {metadata} == PACKAGES


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_wheel_is_typed(wheel_names: list[str], package: str) -> None:
    """Each package in the wheel tells type checkers that it has types."""
    assert f"{package}/__init__.py" in wheel_names
    assert f"{package}/py.typed" in wheel_names


def test_constraints_are_plain_pins() -> None:
    """Each constraint is an exact public version, without path, URL or local suffix."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []
    assert "torch==2.13.0" in pins
