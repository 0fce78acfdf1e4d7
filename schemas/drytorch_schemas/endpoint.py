"""Where a broker listens: its three addresses, from one URL, and the file that tells others."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from drytorch_schemas import folders
from drytorch_schemas.errors import EndpointError

DEFAULT_PORT: Final = 7750
#: Longest path of a Unix socket, bytes.
MAX_SOCKET_PATH: Final = 107
_NAMES: Final = ("ingest", "control", "fanout")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The addresses of a broker.

    Attributes:
        ingest: where clients publish batches (PUB to SUB).
        control: requests and replies (DEALER to ROUTER).
        fanout: doorbells and live events (XPUB to SUB).
    """

    ingest: str
    control: str
    fanout: str

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """Return the endpoint that users name with one URL.

        Args:
            url: `tcp://HOST[:PORT]` for that port and the next two, or `ipc:///FOLDER` for three
                sockets in it.

        Raises:
            EndpointError: the URL is neither, or a socket's path would be too long.
        """
        if url.startswith("ipc://"):
            return cls._in_folder(Path(url.removeprefix("ipc://")), url)
        host, port = _tcp(url)
        if port > _MAX_PORT - 2:
            raise EndpointError(
                f"The port of {url} is too high: the broker takes it and the next two."
            )
        return cls(*(f"tcp://{host}:{port + number}" for number in range(3)))

    @classmethod
    def _in_folder(cls, folder: Path, url: str) -> Endpoint:
        if not folder.is_absolute():
            raise EndpointError(
                f"{url} names no folder: write ipc:///FOLDER with an absolute path."
            )
        if _too_long(folder):
            raise EndpointError(
                f"The folder of {url} has too long a path for a socket: at most "
                f"{MAX_SOCKET_PATH - len('/control.sock')} bytes."
            )
        return cls(*(f"ipc://{folder}/{name}.sock" for name in _NAMES))

    @property
    def folder(self) -> Path | None:
        """The folder of the sockets, None for TCP."""
        if not self.control.startswith("ipc://"):
            return None
        return Path(self.control.removeprefix("ipc://")).parent

    @property
    def url(self) -> str:
        """The one URL that names this endpoint."""
        return self.ingest if self.folder is None else f"ipc://{self.folder}"

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this host can reach it."""
        return self.folder is not None or _is_loopback(_tcp(self.control)[0])

    def with_ports(self, ports: Mapping[str, int]) -> Endpoint:
        """Return the endpoint on the same host with the ports that a handshake told.

        Args:
            ports: port of `ingest` and of `fanout`; what is absent stays.
        """
        if self.folder is not None:
            return self
        host = _tcp(self.control)[0]
        return Endpoint(
            f"tcp://{host}:{ports['ingest']}" if "ingest" in ports else self.ingest,
            self.control,
            f"tcp://{host}:{ports['fanout']}" if "fanout" in ports else self.fanout,
        )


def default_endpoint(journal: Path) -> Endpoint:
    """Return where the broker of a journal listens unless told otherwise.

    Args:
        journal: the journal's folder; two journals never share an endpoint.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(journal))).hexdigest()[:8]
    folder = folders.runtime_dir() / name
    if _too_long(folder):
        folder = folders.fallback_runtime_dir() / name
    return Endpoint.from_url(f"ipc://{folder}")


@dataclass(frozen=True, slots=True)
class EndpointFile:
    """What stands beside a journal while its broker lives; it means nothing when the lock is free.

    Attributes:
        url: where the broker listens.
        pid: its process.
        journal: the journal's id.
    """

    url: str
    pid: int
    journal: str


def write_endpoint(folder: Path, content: EndpointFile) -> None:
    """Write the endpoint file beside a journal, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / folders.ENDPOINT_FILE
    fields = {"url": content.url, "pid": content.pid, "journal": content.journal}
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(fields) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)


def read_endpoint(folder: Path) -> EndpointFile | None:
    """Return what the endpoint file beside a journal says, None where none can be read.

    Args:
        folder: the journal's folder.
    """
    try:
        fields = json.loads((folder / folders.ENDPOINT_FILE).read_text(encoding="utf-8"))
        return EndpointFile(str(fields["url"]), int(fields["pid"]), str(fields["journal"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _too_long(folder: Path) -> bool:
    return len(os.fsencode(folder / "control.sock")) > MAX_SOCKET_PATH


def _tcp(url: str) -> tuple[str, int]:
    """Return the host, an IPv6 one in brackets, and the port of a TCP URL."""
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise EndpointError(f"{url!r} is not a broker's URL: {error}.") from error
    host = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    extra = parts.path.strip("/") or parts.query or parts.fragment or "@" in host
    if parts.scheme != "tcp" or not parts.hostname or extra or port == 0 or host.endswith(":"):
        raise EndpointError(
            f"{url!r} is not a broker's URL: write tcp://HOST:PORT or ipc:///FOLDER."
        )
    return host, port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
