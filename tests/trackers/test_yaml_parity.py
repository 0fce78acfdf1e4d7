"""DRYTorch's YamlDumper and ours write the same files with the same bytes."""

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

import yaml_cases
from deliveries import RUN, deliver, files, origin, start
from drytorch_client.represent import CONFIG_DEPTH, represent
from drytorch_schemas.events import ActorRegistrationEvent, Event, ModelRegistrationEvent
from drytorch_trackers import TrackerContext, YamlDumper, read_yaml
from yaml_cases import ARCHITECTURES, CASES, LATER, NAMES, RAW, TS

SCRIPT = Path(yaml_cases.__file__).with_name("yaml_upstream.py")
FIRST, SECOND = map(datetime.datetime.fromisoformat, (TS, LATER))
RUN_ID = "2025-08-01@12h54m21s"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let DRYTorch's tracker write everything in one process."""
    folder = tmp_path_factory.mktemp("upstream")
    command = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def model(name: str, architecture: str = "Net()") -> Event:
    """Return a model's registration."""
    return ModelRegistrationEvent(model_name=name, model_ts=FIRST, architecture_repr=architecture)


def actor(name: str, model_name: str, metadata: object) -> Event:
    """Return a source's registration."""
    return ActorRegistrationEvent.model_validate(
        {
            "actor_name": name,
            "actor_ts": FIRST,
            "model_name": model_name,
            "model_ts": FIRST,
            "metadata": metadata,
        }
    )


def write(par_dir: Path, run_id: str, *happened: Event) -> dict[str, bytes]:
    """Feed a run to a fresh tracker and return its files."""
    tracker = YamlDumper()
    tracker.setup(TrackerContext(par_dir))
    for delivery in deliver(happened, origin(RUN, run_id)):
        tracker.handle(delivery)
    tracker.clean_up()
    return files(par_dir, "metadata/**/*")


def of_run(theirs: Path, run_id: str) -> dict[str, bytes]:
    """Return DRYTorch's files of a run."""
    place = "metadata/Exp/" + run_id.replace("@", "/")
    found = files(theirs, f"{place}/**/*")
    assert found
    return found


@pytest.mark.parametrize("name", CASES)
def test_representations(theirs: Path, tmp_path: Path, name: str) -> None:
    """Whatever a configuration or an actor holds, its file is DRYTorch's."""
    make = CASES[name]
    metadata = represent(make())
    events = [
        start(config=represent(make(), CONFIG_DEPTH), run_id=name, run_ts=FIRST),
        model("net"),
        actor("actor", "net", metadata if isinstance(metadata, dict) else {}),
    ]
    written, expected = write(tmp_path, name, *events), of_run(theirs, name)
    if not isinstance(metadata, dict):
        # an actor is an object: no event of ours carries other metadata
        actors = [path for path in expected if "/actor_" in path]
        assert len(actors) == 1
        del expected[actors[0]], written[actors[0]]
    assert written == expected
    for path in written:
        read_yaml(tmp_path / path)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(theirs: Path, tmp_path: Path, name: str) -> None:
    """A module's representation is written in DRYTorch's style, and read back as it was."""
    text = ARCHITECTURES[name]
    written = write(tmp_path, name, start(run_id=name, run_ts=FIRST), model("net", text))
    assert written == of_run(theirs, name)
    (path,) = [path for path in written if path.endswith("architecture.yaml")]
    assert read_yaml(tmp_path / path) == text


def test_long_sequences(theirs: Path, tmp_path: Path) -> None:
    """The longest sequence on one line is DRYTorch's."""
    written = write(tmp_path, "raw", start(run_id="raw", run_ts=FIRST), actor("actor", "net", RAW))
    assert written == of_run(theirs, "raw")


def test_names_and_a_resumed_run(theirs: Path, tmp_path: Path) -> None:
    """Names of files are DRYTorch's, and a resumed run adds a configuration of its own."""
    events: list[Event] = [start(run_id=RUN_ID, run_ts=FIRST)]
    for name in NAMES:
        events += [model(name), *(actor(source, name, {}) for source in NAMES)]
    resumed = start(run_id=RUN_ID, run_ts=SECOND, config={"resumed": True}, resumed=True)
    written = write(tmp_path, RUN_ID, *events, resumed)
    assert len(written) == 2 + len(NAMES) * (len(NAMES) + 1)
    assert written == of_run(theirs, RUN_ID)
