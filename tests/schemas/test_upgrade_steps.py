"""Named steps from older versions, tried with versions that never were."""

import io
from typing import Any

import msgpack
import pytest

from drytorch_schemas import envelope, events, limits, records, upgrade
from drytorch_schemas.envelope import Origin
from drytorch_schemas.journal_reader import Record, read
from drytorch_schemas.upgrade import Upgrades
from segments import JOURNAL_ID, split

ORIGIN = Origin("ab" * 16, "Exp", "r", "cd" * 16, 0, "host")


@pytest.fixture
def steps() -> Upgrades[list[str]]:
    """Make a format at version 4 with steps for some versions, registered out of order."""
    made: Upgrades[list[str]] = Upgrades(4)

    @made.step("Metric", 3)
    def third(value: list[str]) -> list[str]:
        return [*value, "3 to 4"]

    @made.step("Metric", 1)
    def first(value: list[str]) -> list[str]:
        return [*value, "1 to 2"]

    assert (first([]), third([])) == (["1 to 2"], ["3 to 4"])
    return made


@pytest.mark.parametrize(
    ("version", "taken"),
    [(1, ["1 to 2", "3 to 4"]), (2, ["3 to 4"]), (3, ["3 to 4"]), (4, []), (5, [])],
)
def test_steps_are_taken_in_order(
    steps: Upgrades[list[str]], version: int, taken: list[str]
) -> None:
    """A value goes through the steps from its version on, and a newer one through none."""
    assert steps.apply("Metric", version, []) == taken
    assert steps.apply("Loss", version, []) == []


def test_a_step_is_registered_once(steps: Upgrades[list[str]]) -> None:
    """A second step for the same version, and one from the current version, are refused."""
    for version in (1, 4, 5):
        with pytest.raises(ValueError, match="Metric"):
            steps.step("Metric", version)


def test_older_events_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of an older schema version is read through its step, and says its version."""
    older: Upgrades[dict[str, Any]] = Upgrades(limits.SCHEMA_VERSION + 1)

    @older.step("Metric", limits.SCHEMA_VERSION)
    def values_become_metrics(fields: dict[str, Any]) -> dict[str, Any]:
        return {"metrics" if name == "values" else name: fields[name] for name in fields}

    monkeypatch.setattr(upgrade, "EVENTS", older)
    fields = {"model_name": "m", "source_name": "s", "epoch": 1, "values": {"loss": 0.5}}
    received = envelope.decode(envelope.encode_fields(ORIGIN, "Metric", 1, 2, fields))
    assert isinstance(received.event, events.MetricEvent)
    assert received.event.metrics == {"loss": 0.5}
    assert received.schema == limits.SCHEMA_VERSION
    assert values_become_metrics(fields)["metrics"] == {"loss": 0.5}


def test_older_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of an older file format are read through its step, damage and all (C16)."""
    older: Upgrades[Record] = Upgrades(limits.FORMAT_VERSION + 1)

    @older.step(records.JOURNAL, limits.FORMAT_VERSION)
    def payloads_were_lists(record: Record) -> Record:
        (value,) = msgpack.unpackb(record.payload)
        return record._replace(payload=msgpack.packb(value))

    monkeypatch.setattr(upgrade, "FILES", older)
    header = records.Header(records.JOURNAL, JOURNAL_ID, 5, 1, 1)
    data = records.encode_header(header)
    for offset in range(5, 8):
        data += records.encode_record(1, offset, msgpack.packb([{"a": offset}]), 1)
    found, damages = split(list(read(io.BytesIO(data + b"torn"))))
    assert [msgpack.unpackb(record.payload) for record in found] == [{"a": n} for n in (5, 6, 7)]
    assert [damage.torn for damage in damages] == [True]
    assert payloads_were_lists.__name__ == "payloads_were_lists"


def test_the_current_versions_need_no_steps() -> None:
    """What this version writes is read without any step."""
    assert upgrade.EVENTS.current == limits.SCHEMA_VERSION
    assert upgrade.FILES.current == limits.FORMAT_VERSION
