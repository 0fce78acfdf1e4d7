"""The broker's three sockets: options, binding, binding again."""

from __future__ import annotations

import errno
import logging
import os
import random
from pathlib import Path
from typing import Final

import zmq

from drytorch_broker.config import BrokerConfig
from drytorch_broker.errors import (
    AddressError,
    AddressInUseError,
    ConfigurationError,
    InsecureAddressError,
    PermissionRefusedError,
)
from drytorch_schemas.endpoint import Endpoint, default_endpoint
from drytorch_schemas.errors import EndpointError, LocationError
from drytorch_schemas.folders import (
    LOCK_FILE,
    fallback_runtime_dir,
    private_folder,
    runtime_dir,
)
from drytorch_schemas.limits import MAX_MESSAGE_BYTES
from drytorch_schemas.locks import FileLock

_log: Final = logging.getLogger(__name__)
HEARTBEAT_MS: Final = 300
HEARTBEAT_TIMEOUT_MS: Final = 900
LINGER_MS: Final = 500
#: Messages that wait in each direction. Batches have up to 2 MiB: what comes above stays with its
#: client, whose socket then says so.
_INGEST_HWM: Final = 64
_CONTROL_HWM: Final = 128
_FANOUT_HWM: Final = 1000
_FREE_PORT_TRIES: Final = 100
_EPHEMERAL: Final = (20_000, 32_000)


class Sockets:
    """Ingest (SUB), control (ROUTER) and fan-out (XPUB), bound.

    Attributes:
        endpoint: where they listen.
        ingest: batches come in here.
        control: requests and answers.
        fanout: doorbells and live events go out here.
    """

    def __init__(self, config: BrokerConfig) -> None:
        """Make the sockets and bind them.

        Args:
            config: the broker's options.

        Raises:
            AddressError: the URL is none.
            InsecureAddressError: others can reach the address, and that was not allowed.
            AddressInUseError: somebody else listens there.
            PermissionRefusedError: the user may not listen there.
            ConfigurationError: the address is not of this host, or the folder is not private.
        """
        self._context = zmq.Context()
        self._folder_lock: FileLock | None = None
        try:
            self.ingest = self._make(zmq.SUB, _INGEST_HWM)
            self.ingest.subscribe(b"")
            self.control = self._make(zmq.ROUTER, _CONTROL_HWM)
            self.fanout = self._make(zmq.XPUB, _FANOUT_HWM)
            self.endpoint = self._bind(config)
        except BaseException:
            self.close(0)
            raise

    def _make(self, kind: int, limit: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.RCVHWM, limit)
        socket.setsockopt(zmq.SNDHWM, limit)
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        socket.setsockopt(zmq.BACKLOG, 1024)
        return socket

    @property
    def ports(self) -> dict[str, int]:
        """TCP ports of ingest and fan-out; empty for ipc."""
        if self.endpoint.folder is not None:
            return {}
        return {
            "ingest": int(self.endpoint.ingest.rpartition(":")[2]),
            "fanout": int(self.endpoint.fanout.rpartition(":")[2]),
        }

    def _all(self, endpoint: Endpoint) -> tuple[tuple[zmq.Socket[bytes], str], ...]:
        return (
            (self.control, endpoint.control),
            (self.fanout, endpoint.fanout),
            (self.ingest, endpoint.ingest),
        )

    def _bind(self, config: BrokerConfig) -> Endpoint:
        if config.listen is None:
            endpoint = default_endpoint(config.journal)
            _make_private(endpoint.folder, config.journal)
            return self._bind_all(endpoint)
        url = config.listen.replace("//localhost", "//127.0.0.1", 1)
        free = url.endswith(":0") and url.startswith("tcp://")
        try:
            endpoint = Endpoint.from_url(f"{url[:-2]}:{_EPHEMERAL[0]}" if free else url)
        except EndpointError as error:
            raise AddressError(str(error)) from error
        if not endpoint.loopback and not config.insecure:
            raise InsecureAddressError(
                f"{config.listen} can be reached by others, and there are no keys yet: listen on "
                f"tcp://127.0.0.1 and use a tunnel, or add --insecure in a network that you trust."
            )
        _make_private(endpoint.folder, config.journal)
        return self._bind_free(url[:-2]) if free else self._bind_all(endpoint)

    def _bind_all(self, endpoint: Endpoint) -> Endpoint:
        if endpoint.folder is not None:
            # Binding would steal the sockets from a living broker of another journal.
            self._folder_lock = FileLock(endpoint.folder / LOCK_FILE)
            if not self._folder_lock.acquire():
                raise AddressInUseError(
                    f"Another broker listens on {endpoint.url}: stop it, or choose another address."
                )
        bound = []
        try:
            for socket, url in self._all(endpoint):
                socket.setsockopt(zmq.IPV6, int("[" in url))
                socket.bind(url)
                bound.append((socket, url))
        except zmq.ZMQError as error:
            for socket, url in bound:
                socket.unbind(url)
            raise _refusal(error, endpoint) from error
        return endpoint

    def _bind_free(self, base: str) -> Endpoint:
        """Bind to three free ports in a row."""
        generator = random.SystemRandom()
        for attempt in range(_FREE_PORT_TRIES):
            endpoint = Endpoint.from_url(f"{base}:{generator.randrange(*_EPHEMERAL)}")
            try:
                return self._bind_all(endpoint)
            except AddressInUseError:
                if attempt == _FREE_PORT_TRIES - 1:
                    raise
        raise AssertionError  # the loop returns or raises

    def restore(self) -> None:
        """Bind again where somebody removed a socket's file (a cleaner of /tmp, a logout)."""
        folder = self.endpoint.folder
        if folder is None:
            return
        for socket, url in self._all(self.endpoint):
            if Path(url.removeprefix("ipc://")).exists():
                continue
            _log.warning("the socket %s has vanished: binding again", url)
            try:
                _make_private(folder, folder)
                socket.unbind(url)
                socket.bind(url)
            except (zmq.ZMQError, ConfigurationError) as error:
                _log.error("cannot bind %s again: %s", url, error)  # as below

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close the sockets, and remove their files.

        Args:
            linger_ms: how long to wait for what is not sent yet, milliseconds.
        """
        self._context.destroy(linger=linger_ms)
        if self._folder_lock is not None and self._folder_lock.held:
            folder = self._folder_lock.path.parent
            for name in ("ingest.sock", "control.sock", "fanout.sock"):
                (folder / name).unlink(missing_ok=True)
            self._folder_lock.release()


def _make_private(folder: Path | None, journal: Path) -> None:
    """Make a folder for sockets that nobody else can enter."""
    if folder is None:
        return
    try:
        if folder.parent in (runtime_dir(), fallback_runtime_dir()):
            private_folder(folder.parent)  # in /tmp anybody could have made it
        private_folder(folder)
    except LocationError as error:
        raise ConfigurationError(f"No place for the sockets of {journal}: {error}") from error


def _refusal(error: zmq.ZMQError, endpoint: Endpoint) -> Exception:
    url = endpoint.url
    if error.errno == errno.EADDRINUSE:
        return AddressInUseError(
            f"{url} or one of the next two ports is in use: stop who listens there, or choose "
            f"another --listen."
        )
    if error.errno == errno.EACCES:
        return PermissionRefusedError(
            f"You may not listen on {url}: choose a port above 1023, or another folder."
        )
    return ConfigurationError(
        f"Cannot listen on {url} ({os.strerror(error.errno or 0)}): choose another --listen."
    )
