"""The committed JSON Schema is that of the code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drytorch_schemas import json_schema
from drytorch_schemas.events import event_classes

COMMAND = "python -m drytorch_schemas.json_schema"


def test_committed_files_are_current() -> None:
    """The files of schemas/json are what the generator writes now."""
    found = {path.name: path.read_text(encoding="utf-8") for path in json_schema.FOLDER.iterdir()}
    stale = sorted(
        name
        for name in found.keys() | json_schema.documents().keys()
        if found.get(name) != json_schema.documents().get(name)
    )
    if stale:
        pytest.fail(f"stale: {', '.join(stale)}; run `{COMMAND}`", pytrace=False)


def test_every_kind_has_a_file() -> None:
    """There is one file for each kind, and its fields are those of the class."""
    texts = json_schema.documents()
    classes = {
        f"{kind}.json": event for kind, event in event_classes().items() if kind != "Unknown"
    }
    assert texts.keys() == classes.keys()
    for name, event in classes.items():
        assert list(json.loads(texts[name])["properties"]) == list(event.model_fields)


def test_times_are_described_as_they_travel() -> None:
    """A time is described as the map that travels."""
    schema = json.loads(json_schema.documents()["ModelRegistration.json"])
    assert set(schema["properties"]["model_ts"]["properties"]) == {"local", "utc"}


def test_writing_removes_what_is_gone(tmp_path: Path) -> None:
    """Writing gives the files of all kinds and removes those of kinds that are gone."""
    (tmp_path / "Gone.json").touch()
    json_schema.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == json_schema.documents().keys()


def test_the_command_changes_nothing_when_current() -> None:
    """The command that the stale test names runs, and writes what is committed."""
    before = {path.name: path.read_bytes() for path in json_schema.FOLDER.iterdir()}
    subprocess.run([sys.executable, *COMMAND.split()[1:]], check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in json_schema.FOLDER.iterdir()} == before
