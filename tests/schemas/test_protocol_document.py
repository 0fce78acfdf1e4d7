"""The document and the code agree."""

import re
from pathlib import Path
from typing import Any

import msgpack
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from drytorch_schemas import control, endpoint, envelope, events, frames, limits, records, topics
from drytorch_schemas.spool_files import SpoolMeta

PATH = Path(__file__).parents[2] / "schemas" / "PROTOCOL.md"
TEXT = PATH.read_text(encoding="utf-8")
MESSAGES = {each.model_fields["type"].default: each for each in control.Message.__subclasses__()}


def section(title: str) -> str:
    """Return the text under a heading, up to the next heading of any level."""
    (found,) = re.findall(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
    return str(found)


def rows(text: str) -> list[list[str]]:
    """Return the rows of the last table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    begin = max(number for number, line in enumerate(lines) if line.startswith("|---"))
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[begin + 1 :]]


def names(text: str) -> list[str]:
    """Return the first cells of the last table in a text, without their marks."""
    return [row[0].strip(" `") for row in rows(text)]


def default_in_words(value: Any) -> str:
    """Return a default as the document writes it."""
    if value is PydanticUndefined:
        return ""
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    return f"`{value}`" if value else "empty"


def assert_same_fields(model: type[BaseModel], text: str, inherited: tuple[str, ...] = ()) -> None:
    """Compare names and defaults of a model's fields with a table."""
    expected = {
        name: default_in_words(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
        if name not in inherited
    }
    assert {row[0].strip(" `"): row[2] for row in rows(text)} == expected


def test_versions() -> None:
    """The versions at the top are those of the code."""
    found = dict(
        re.findall(r"^\| (protocol|events' schema|file format)[^|]*\| (\d+) \|", TEXT, re.MULTILINE)
    )
    assert {name: int(version) for name, version in found.items()} == {
        "protocol": limits.PROTOCOL_VERSION,
        "events' schema": limits.SCHEMA_VERSION,
        "file format": limits.FORMAT_VERSION,
    }


def test_limits() -> None:
    """The table of limits is the module of limits."""
    expected = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert {row[0].strip(" `"): int(row[1]) for row in rows(section("9. Limits"))} == expected


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_control_messages(name: str) -> None:
    """Each control message has its fields and defaults in the document."""
    model = MESSAGES[name]
    if set(model.model_fields) == {"type", "id"}:
        assert "|" not in section(f"`{name}`")
    else:
        assert_same_fields(model, section(f"`{name}`"), ("type", "id"))


def test_no_other_messages() -> None:
    """The document describes no message that the code does not have."""
    assert sorted(re.findall(r"^#### `(\w+)`$", TEXT, re.MULTILINE)) == sorted(MESSAGES)


def test_filters_and_common_fields() -> None:
    """Filters and the fields of all messages are in the document."""
    assert_same_fields(control.Filter, section("Readers"))
    assert names(section("6. Control messages")) == list(control.Message.model_fields)


def test_spool_meta() -> None:
    """The fields of a spool's meta file are in the document."""
    assert_same_fields(SpoolMeta, section("8. Side files"))


def test_codes_of_refusals() -> None:
    """The document names the codes that the code's own documentation names."""
    (row,) = [row for row in rows(section("`refused`")) if row[0].strip(" `") == "code"]
    assert row[3].rstrip(".") in " ".join((control.Refused.__doc__ or "").split())


def test_envelope_keys() -> None:
    """Keys and types of an envelope are in the document, in order."""
    types = {int: "int", str: "text", dict: "map"}
    expected = [(name, types[kind]) for name, kind in envelope.FIELDS.items()]
    table = rows(section("Envelope"))
    assert [(row[0].strip(" `"), row[1]) for row in table] == [*expected, ("again", "bool")]


def test_frames() -> None:
    """Marks and parts of uplink and fan-out messages are as documented."""
    header = frames.UplinkHeader(live=False, producer="p", token=b"t" * 8, first=3, count=1)
    mark, head, _ = frames.encode_uplink(header, b"")
    assert f'b"{mark.decode()}" a batch' in section("3. Uplink: client to broker")
    assert msgpack.unpackb(head) == ["p", b"t" * 8, 3, 1]
    assert "[producer, token, first, count]" in section("3. Uplink: client to broker")
    downlink = section("5. Downlink: broker to worker")
    for prefix in (frames.DOORBELL_PREFIX, frames.LIVE_PREFIX):
        assert f'b"{prefix.decode()}" + topic' in downlink
    assert frames.encode_doorbell("t", b"j" * 16, 5)[1] == b"j" * 16 + (5).to_bytes(8, "big")


def test_addresses() -> None:
    """Ports and socket names are as documented."""
    assert f"default port is {endpoint.DEFAULT_PORT}" in " ".join(section("2. Sockets").split())
    found = endpoint.Endpoint.from_url("ipc:///FOLDER")
    for url in (found.ingest, found.control, found.fanout):
        assert f"`{url.removeprefix('ipc:///')}`" in section("2. Sockets")


def test_topics() -> None:
    """What is escaped in a topic is what the document says."""
    escaped = [chr(code) for code in range(0x3000) if topics.escape(chr(code)) != chr(code)]
    assert escaped == [chr(code) for code in [*range(0x20), 0x25, 0x2F, 0x7F]]
    assert "`%`, `/` or a\ncontrol character (U+0000 to U+001F, U+007F)" in section("Topic")
    assert topics.escape("/\x1f") == "%2F%1F"


def test_layout_of_headers() -> None:
    """The widths and marks of a header's fields add up to what the code writes."""
    title = "Header: an array of 7, written twice, without anything between"
    for column, name in ((1, records.JOURNAL), (2, records.SPOOL)):
        data = records.encode_header(records.Header(name, "ab" * 16, 1, 2, 3))
        position = 0
        for row in rows(section(title)):
            mark = bytes.fromhex(
                "".join(re.findall(r"`([0-9A-F ]+)`", row[column])).replace(" ", "")
            )
            assert data[position:].startswith(mark), row
            text = re.search(r"`(drytorch-\w+)`", row[column])
            assert text is None or data[position + 1 :].startswith(text[1].encode())
            position += 1 + len(name) if row[0] == "1 + n" else int(row[0])
        assert position == records.header_size(name)
        assert f"{position} bytes" in section(title) or f"or {position} (spool)" in section(title)


def test_layout_of_records() -> None:
    """The widths and marks of a record's fields are what the code writes."""
    table = rows(section("Record: an array of 5"))
    head = section("Record: an array of 5").split("Notes (kind 2)")[0]
    layout = [row for row in rows(head) if row[0].isdigit()]
    assert sum(int(row[0]) for row in layout) == records.HEAD.size
    data = records.encode_record(1, 2, b"\xc0", 3)
    position = 0
    for row in layout:
        mark = re.match(r"`([0-9A-F]{2})`(?! to)", row[1])
        assert mark is None or data[position] == int(mark[1], 16), row
        position += int(row[0])
    assert re.search(r"1 envelope, 2 note of the broker, 3 batch", head)
    assert (records.ENVELOPE, records.NOTE, records.BATCH) == (1, 2, 3)
    assert [row[0].strip(" `") for row in table] == ["producer", "elsewhere"]


def test_events_of_the_document_exist() -> None:
    """Events that the document names are events of the code."""
    named = set(re.findall(r"`(RunLost|RunFound|Loss)`", TEXT))
    assert named == {"RunLost", "RunFound", "Loss"} <= set(events.event_classes())
