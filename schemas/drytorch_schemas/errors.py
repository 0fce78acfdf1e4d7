"""What can be wrong with bytes, names and files that this package reads or writes."""

from __future__ import annotations


class SchemaError(Exception):
    """Base class of this package's errors."""


class TopicError(SchemaError):
    """A name cannot be a level of a topic."""


class EncodingError(SchemaError):
    """A value has no msgpack form, or its form is larger than allowed."""


class DecodingError(SchemaError):
    """Bytes from outside are not what the protocol says."""


class VersionError(SchemaError):
    """Data of a newer major version than this program reads.

    Attributes:
        found: the version that the data states.
        known: the newest version that this program reads.
    """

    def __init__(self, what: str, found: int, known: int) -> None:
        """Initialize.

        Args:
            what: the thing that carries the version.
            found: the version that the data states.
            known: the newest version that this program reads.
        """
        self.found = found
        self.known = known
        super().__init__(
            f"{what} has format version {found}, this program reads up to version {known}: "
            f"update drytorch-bus."
        )


class NotAJournalError(SchemaError):
    """A file is not in this project's journal or spool format."""


class LocationError(SchemaError):
    """A folder that this project keeps for a user cannot be used."""


class LockUnsupportedError(LocationError):
    """The file system under a folder has no working flock."""


class EndpointError(SchemaError):
    """A URL does not name a broker."""
