"""Whatever data and names hold, their YAML is read back as the same data, and as nothing else."""

import math
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_client.markers import literal, omitted, safe_key
from drytorch_schemas.packing import pack, unpack
from drytorch_trackers import Omitted, TrackerError, read_yaml
from drytorch_trackers.yaml_format import holds, shown, to_yaml

#: Any text, lone surrogates and control characters too, and what YAML gives a meaning to.
TEXT = st.text(st.characters(), max_size=30) | st.text(
    "-?:,[]{}#&*!|>'\"%@` \n\t\0=~<.0e", max_size=9
)
LITERAL = st.text(st.sampled_from(" \n#ab-:\té"), max_size=20)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | TEXT
    | st.binary(max_size=9)
)
DATA = st.recursive(
    SCALAR | st.builds(Omitted, st.none() | st.integers(0, 99)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


def as_event(value: Any) -> Any:
    """Return data as events carry it."""
    if isinstance(value, Omitted):
        return omitted(None if value.count is None else int(value.count))
    if isinstance(value, dict):
        return {safe_key(key): as_event(item) for key, item in value.items()}
    return [as_event(item) for item in value] if isinstance(value, list) else value


def told(value: Any) -> Any:
    """Return data in a form in which NaN equals itself, and maps do not depend on their order."""
    if isinstance(value, dict):
        return {repr(key): told(item) for key, item in value.items()}
    return [told(item) for item in value] if isinstance(value, list) else repr(value)


@settings(max_examples=60, deadline=None)
@given(value=DATA)
def test_data_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Any data is read back as it was, with and without our reader."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    data = to_yaml(shown(as_event(value)))
    path.write_bytes(data)
    assert told(read_yaml(path)) == told(value)
    assert holds(path, shown(as_event(value)))
    assert data.isascii()
    assert not set(data.decode()) - set(string.printable)
    if "Omitted" not in repr(value):
        assert told(yaml.safe_load(data)) == told(value)


@settings(max_examples=120, deadline=None)
@given(text=LITERAL, nested=st.sampled_from(["root", "key", "item", "deep"]))
def test_literal_text_comes_back(text: str, nested: str) -> None:
    """Text that is shown line by line is read back with every blank of it."""
    mark = literal(text)
    value = {
        "root": mark,
        "key": {"a": mark},
        "item": [mark, [mark]],
        "deep": {"a": [{"b": [mark, {"c": mark}]}]},
    }
    plain = yaml.safe_load(to_yaml(shown(value[nested])))
    assert plain == _without_marks(value[nested])


def _without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {key: _without_marks(item) for key, item in value.items()}
        return plain.get("!literal", plain)
    return [_without_marks(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("given_data", "expected"),
    [
        ({"!omitted": "text"}, {"!omitted": "text"}),
        ({"!literal": 3}, {"!literal": 3}),
        ({"!omitted": 1, "more": 2}, {"!omitted": 1, "more": 2}),
        ({"!!omitted": 1}, {"!omitted": 1}),
        ({"!a": 1, "!!a": 2}, {"!a": 1, "!!a": 2}),
        ({"!omitted": math.nan}, Omitted(None)),
    ],
)
def test_what_only_looks_like_a_mark(tmp_path: Path, given_data: Any, expected: Any) -> None:
    """A map of the user's own that resembles a mark is written as a map, and no key is lost."""
    path = tmp_path / "a.yaml"
    path.write_bytes(to_yaml(shown(given_data)))
    assert read_yaml(path) == expected


def test_deepest_data(tmp_path: Path) -> None:
    """Data as deep as an envelope can carry is written and read."""
    value: Any = 1
    for level in range(30):
        value = [value] if level % 2 else {"a": value}
    path = tmp_path / "deep.yaml"
    path.write_bytes(to_yaml(shown(unpack(pack(value)))))
    assert read_yaml(path) == value


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch hacked']",
        "!!python/name:os.system",
        "!Omitted 3",
        "!Other {a: 1}",
        "a: [",
        "2025-13-45",
        "'\0'",
        "[" * 700,
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    """A file with tags that would make objects, or no YAML at all, is refused with a sentence."""
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(TrackerError, match=r"odd\.yaml cannot be read as YAML") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)
    assert not holds(path, {})
    assert not (tmp_path / "hacked").exists()


def test_reading_without_this_package(tmp_path: Path) -> None:
    """The line that the documentation gives lets plain PyYAML read what was left out."""

    class Loader(yaml.SafeLoader):
        """What a user adds the line to."""

    Loader.add_constructor("!Omitted", Loader.construct_yaml_map)  # type: ignore[type-var]  # PyYAML takes it
    data = to_yaml(shown({"flow": [1, omitted(7)], "block": ["a longer text", omitted(None)]}))
    loaded = yaml.load(data, Loader)  # noqa: S506  # a SafeLoader
    assert loaded["flow"] == [1, {"omitted_elements": 7}]
    assert math.isnan(loaded["block"][1]["omitted_elements"])
    assert read_yaml(_file(tmp_path, data)) == {
        "flow": [1, Omitted(7)],
        "block": ["a longer text", Omitted(None)],
    }


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "a.yaml"
    path.write_bytes(data)
    return path
