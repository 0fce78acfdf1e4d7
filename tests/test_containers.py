"""The container files hold to their rules, and the Dockerfile's steps run without an engine."""

import os
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from containers import COMPOSE, compose, instructions, replaced, stages
from drytorch_schemas.endpoint import Endpoint
from pages import ROOT, code_of

OURS = ("broker", "csv", "sql", "training")
BASE = ("bus", "training")


@pytest.mark.parametrize("source", ["docker-compose.yml", "docs/how-to/docker.md"])
def test_compose_file_is_of_the_compose_schema(source: str, tmp_path: Path) -> None:
    """The file, and what the page has one write, are valid by the Compose specification."""
    file = ROOT / source
    if file.suffix == ".md":
        (block,) = code_of(file, "yaml")
        file = tmp_path / "docker-compose.yml"
        file.write_text(block, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "check_jsonschema"]
    schema = ("--builtin-schema", "vendor.compose-spec")
    checked = subprocess.run(
        [*command, *schema, file], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_file_by_compose_itself() -> None:
    """Docker Compose reads the file, where it is installed."""
    docker = shutil.which("docker")
    plugin = [docker or "docker", "compose"]
    if docker is None or subprocess.run([*plugin, "version"], check=False).returncode:
        pytest.skip("docker compose is not installed")
    subprocess.run([*plugin, "-f", COMPOSE, "config", "--quiet"], check=True, timeout=60)


@pytest.mark.parametrize("name", compose()["services"])
def test_services_are_closed_and_small(name: str) -> None:
    """Each service has a pinned image, no port, no root, no writable image and no capability."""
    service = compose()["services"][name]
    repository, _, tag = service["image"].partition(":")
    assert repository
    assert tag[:1].isdigit(), "a version, never latest"
    assert "ports" not in service
    assert "privileged" not in service
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["networks"] == ["bus"]
    assert ("user" in service) == (name not in OURS), "else the Dockerfile says who"
    for variable, value in service.get("environment", {}).items():
        assert "PASSWORD" not in variable or variable.endswith("_FILE"), value


def test_network_is_internal_and_what_is_kept_has_a_volume() -> None:
    """Nobody outside reaches the broker, which has no keys yet, and the volumes are declared."""
    data = compose()
    assert data["networks"] == {"bus": {"internal": True}}
    mounted = {
        each.split(":")[0]
        for service in data["services"].values()
        for each in service.get("volumes", [])
    }
    assert mounted == set(data["volumes"])
    broker = data["services"]["broker"]
    assert "journal:/journal" in broker["volumes"]
    address = broker["command"][broker["command"].index("--listen") + 1]
    assert Endpoint.from_url(address).loopback is ("--insecure" not in broker["command"])


def test_images_are_pinned_slim_and_not_of_root() -> None:
    """Images come from a pinned slim Python, in stages, and what runs is a numbered user."""
    found = stages()
    (arguments,) = [words for name, words in found[""] if name == "ARG"]
    assert arguments == ["PYTHON=python:3.11.13-slim-bookworm"]
    known = {"${PYTHON}", *found}
    assert all(words[0] in known for name, words in instructions() if name == "FROM")
    assert [words for name, words in found["base"] if name == "USER"] == [["10001:10001"]]
    assert all(found[name][0] == ("FROM", ["base", "AS", name]) for name in BASE)
    assert not [words for name, words in instructions() if name in {"ADD", "EXPOSE"}]
    targets = {service["build"]["target"] for service in compose()["services"].values()
               if "build" in service}  # fmt: skip
    assert targets == set(BASE)


def test_context_lets_through_what_is_copied() -> None:
    """Each thing that the Dockerfile copies is let through, and nothing else is."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert "docker/secrets" in lines
    assert {source for _, source, _ in copies()} == allowed


def copies() -> list[tuple[str, str, str]]:
    """Return stage, source and target of each copy from the context."""
    return [
        (stage, source, words[-1])
        for stage, all_of_it in stages().items()
        for name, words in all_of_it
        if name == "COPY" and not words[0].startswith("--from")
        for source in words[:-1]
    ]


def test_steps_of_the_dockerfile_run(tmp_path: Path) -> None:
    """The scripts of the RUN lines work on what is copied, with this environment as pip's index."""
    places = {
        "/app": "",
        "/usr/local/lib/drytorch": str(ROOT / "docker"),
        "10001": str(os.getuid()),
    }
    context = tmp_path / "src"
    for stage, source, target in copies():
        if stage == "source":
            copy(ROOT / source, context / target if target != "./" else context / source)
    steps = []
    for stage in ("training-build", "base"):
        places |= {"/app": str(tmp_path / stage)}
        places |= {f"/{each}": str(tmp_path / each) for each in FOLDERS}
        (words,) = runs(stage)
        steps.append(step([replaced(word, places) for word in words], context))
    for process in steps:
        output, _ = process.communicate(timeout=100)
        assert process.returncode == 0, output
    programs = tmp_path / "training-build" / "bin"
    assert {"drytorch", "drytorch-broker"} <= {each.name for each in programs.iterdir()}
    (packages,) = (tmp_path / "training-build" / "lib").glob("python3.*/site-packages")
    assert (packages / "drytorch_trackers" / "sql_database.py").exists()
    modes = [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in FOLDERS]
    assert modes == [0o700] * len(FOLDERS)


def test_both_images_are_installed_alike() -> None:
    """The two images differ in extras that the project has, and in one pinned library."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (bus,), (training,) = runs("bus-build"), runs("training-build")
    assert bus[:3] == training[:3] == ["sh", "docker/install.sh", "/app"]
    for extras, more in ((bus[3], bus[4:]), (training[3], training[4:])):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
        assert all(f"\n{each}==" in pinned for each in more)
    assert {name for name, each in stages().items() for word, _ in each if word == "RUN"} == {
        "bus-build",
        "training-build",
        "base",
    }


def runs(stage: str) -> list[list[str]]:
    """Return the words of a stage's RUN lines."""
    return [words for name, words in stages()[stage] if name == "RUN"]


FOLDERS = ("home/drytorch", "journal", "results", "state")


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder without what Python leaves in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def step(command: list[str], folder: Path) -> "subprocess.Popen[str]":
    """Start one step with the libraries of this environment in the place of an index."""
    found = next(path for path in sys.path if path.endswith("site-packages"))
    offline = {"PYTHONPATH": found, "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    offline |= {"PIP_EXTRA_INDEX_URL": ""}  # the Dockerfile's default
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | offline | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
