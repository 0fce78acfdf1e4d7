"""JSON Schema of all events, in their wire form, for readers in other languages.

`python -m drytorch_schemas.json_schema` writes one file per kind into `schemas/json/` of a source
checkout, and removes files of kinds that are gone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from drytorch_schemas.events import UnknownEvent, event_classes
from drytorch_schemas.limits import SCHEMA_VERSION

#: Where the files lie in a source checkout.
FOLDER: Final = Path(__file__).parents[1] / "json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _WireForm(GenerateJsonSchema):
    """Describes values as they travel, not as Python holds them."""

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:  # noqa: ARG002  # the signature is pydantic's
        """Describe a time: naive local and UTC, both ISO 8601."""
        part = {"type": "string", "format": "date-time"}
        local = {"type": "string", "description": "naive local time"}
        return {
            "type": "object",
            "properties": {"local": local, "utc": part},
            "required": ["local", "utc"],
        }


def documents() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {
        f"{kind}.json": json.dumps(_document(kind, event), indent=2) + "\n"
        for kind, event in sorted(event_classes().items())
        if event is not UnknownEvent
    }


def _document(kind: str, event: Any) -> dict[str, Any]:
    schema = event.model_json_schema(schema_generator=_WireForm)
    # a writer states every field it knows; readers keep fields that they do not know
    schema.pop("additionalProperties", None)
    return {"$schema": _DIALECT, "$comment": f"events' schema {SCHEMA_VERSION}", **schema} | {
        "title": kind
    }


def write(folder: Path = FOLDER) -> None:
    """Write all files, and remove those of kinds that are gone.

    Args:
        folder: where to write.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    texts = documents()
    for path in folder.glob("*.json"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
