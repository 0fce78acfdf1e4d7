"""The base class of all events: strict where users construct, lenient where readers read."""

from __future__ import annotations

import datetime
import os
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drytorch_schemas.errors import DecodingError
from drytorch_schemas.limits import MAX_NAME_LENGTH

Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
#: msgpack carries integers of 64 bits.
Int = Annotated[int, Field(ge=-(2**63), lt=2**64)]

#: Every event class of this version by its kind.
_classes: dict[str, type[Event]] = {}
_fully_typed: set[str] = set()


def _holds_any(annotation: Any) -> bool:
    return annotation is Any or any(map(_holds_any, get_args(annotation)))


class Event(BaseModel):
    """Base class of all events.

    Attributes:
        kind: the name under which the event travels: the class name without `Event`.
        live: whether the event may be coalesced and lost (else it is durable).
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        revalidate_instances="never",
    )

    _times: ClassVar[tuple[str, ...]] = ()
    _paths: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the kind, and find the fields that msgpack cannot carry as they are."""
        super().__pydantic_init_subclass__(**kwargs)
        cls.kind = cls.__name__.removesuffix("Event")
        fields = cls.model_fields
        cls._times = tuple(n for n, f in fields.items() if f.annotation is datetime.datetime)
        cls._paths = tuple(n for n, f in fields.items() if f.annotation is pathlib.Path)
        # a user's own subclass in a training process is no kind of this version
        if cls.__module__.startswith(__name__.rpartition(".")[0]):
            _classes[cls.kind] = cls
            if not any(_holds_any(field.annotation) for field in fields.values()):
                _fully_typed.add(cls.kind)

    @property
    def live(self) -> bool:
        """Whether this event may be coalesced and lost."""
        return False

    def to_wire(self) -> dict[str, Any]:
        """Return the fields as plain data for msgpack (not a deep copy).

        A time becomes `{'local': ..., 'utc': ...}`, both ISO 8601. The naive local one names
        folders and is what `from_wire` gives, so that a replay in another time zone names them
        alike. A path becomes text.
        """
        fields = dict(self.__dict__)
        if self.__pydantic_extra__:
            fields.update(self.__pydantic_extra__)
        for name in self._times:
            fields[name] = _time_to_wire(fields[name])
        for name in self._paths:
            fields[name] = _path_to_wire(fields[name])
        return fields

    @classmethod
    def from_wire(cls, kind: str, fields: Mapping[str, Any]) -> Event:
        """Build the event of a kind from the fields that travelled.

        Args:
            kind: the kind as it stands in the envelope.
            fields: the fields as msgpack gave them. Unknown ones are kept in `model_extra`.

        Returns:
            The event; an `UnknownEvent` where the kind is not known here.

        Raises:
            DecodingError: a field of a known kind is missing or of a wrong type.
        """
        event_class = _classes.get(kind)
        if event_class is None or event_class is UnknownEvent:
            return UnknownEvent(name=kind, fields=dict(fields))
        return event_class.read(fields)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """Build an event of this class from the fields that travelled.

        Args:
            fields: the fields as msgpack gave them. Unknown ones are kept in `model_extra`.

        Raises:
            DecodingError: a field is missing or of a wrong type.
        """
        plain = dict(fields)
        try:
            for name in cls._times:
                plain[name] = datetime.datetime.fromisoformat(plain[name]["local"])
            for name in cls._paths:
                if name in plain:
                    plain[name] = pathlib.Path(plain[name])
            event = cls.model_validate(plain, extra="allow")
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            raise DecodingError(f"{cls.__name__} cannot be read: {_first_line(error)}") from error
        if not event.model_extra:
            # what travelled must equal what was sent
            object.__setattr__(event, "__pydantic_extra__", None)
        return event


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"


def _time_to_wire(value: datetime.datetime) -> dict[str, str]:
    # a naive time is this process's local time, as everywhere in DRYTorch
    local = value.replace(tzinfo=None)
    return {"local": local.isoformat(), "utc": value.astimezone(datetime.UTC).isoformat()}


def _path_to_wire(value: pathlib.Path) -> str:
    # a name on disk may be no valid UTF-8; on the wire a path only informs
    return os.fsencode(value).decode(errors="replace")


class UnknownEvent(Event):
    """An event of a kind that this version does not know; it passes through unharmed.

    Attributes:
        name: the kind as it stands in the envelope.
        fields: the fields as they arrived.
    """

    name: str
    fields: dict[str, Any]

    def to_wire(self) -> dict[str, Any]:
        """Return the fields as they arrived."""
        return dict(self.fields)


def is_fully_typed(kind: str) -> bool:
    """Tell whether the models of a kind hold nothing but what any reader takes."""
    return kind in _fully_typed


def event_classes() -> dict[str, type[Event]]:
    """Return every event class of this version by its kind."""
    return dict(_classes)
