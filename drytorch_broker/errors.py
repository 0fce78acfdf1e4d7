"""What can go wrong in a broker; each error knows the exit code of the command that meets it."""

from __future__ import annotations

from typing import ClassVar

from drytorch_broker import exit_codes


class BrokerError(Exception):
    """Base class of this package's errors."""

    exit_code: ClassVar[int] = exit_codes.SOFTWARE


class AddressError(BrokerError):
    """An address to listen on is not one that a broker can have."""

    exit_code = exit_codes.USAGE


class InsecureAddressError(BrokerError):
    """An address that others can reach was given without the word that allows it."""

    exit_code = exit_codes.CONFIGURATION


class ConfigurationError(BrokerError):
    """The place or the settings cannot work on this machine."""

    exit_code = exit_codes.CONFIGURATION


class AlreadyRunningError(BrokerError):
    """Another broker holds the journal's lock."""

    exit_code = exit_codes.TAKEN


class AddressInUseError(BrokerError):
    """Somebody else listens on the address."""

    exit_code = exit_codes.TAKEN


class PermissionRefusedError(BrokerError):
    """The user may not read or write the journal's folder."""

    exit_code = exit_codes.NO_PERMISSION


class StorageError(BrokerError):
    """The journal's folder cannot be read or written."""

    exit_code = exit_codes.IO_ERROR


class JournalFormatError(BrokerError):
    """The journal's folder holds segments that this program cannot go on with."""

    exit_code = exit_codes.DATA


class NotRunningError(BrokerError):
    """No broker answers."""

    exit_code = exit_codes.UNAVAILABLE


class StartError(BrokerError):
    """A detached broker did not come up.

    Attributes:
        code: its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        """Initialize.

        Args:
            message: what it said.
            code: its exit code.
        """
        self.code = code
        super().__init__(message)


class LogWriteError(BrokerError):
    """A log could not make records durable; whoever appended them must roll back.

    Attributes:
        full: whether room is missing (else the device fails or is read-only).
    """

    exit_code = exit_codes.IO_ERROR

    def __init__(self, message: str, *, full: bool = False) -> None:
        """Initialize.

        Args:
            message: what happened, for the log.
            full: whether room is missing.
        """
        self.full = full
        super().__init__(message)


class BatchError(BrokerError):
    """A batch is not what its header says, or holds something that is no envelope."""
