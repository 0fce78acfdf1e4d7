"""Places on a host: folders, and addresses of brokers."""

import os
import socket
from pathlib import Path

import pytest

from drytorch_schemas import locations
from drytorch_schemas.errors import EndpointError, LocationError
from drytorch_schemas.locations import Endpoint, EndpointFile

ROOT = os.getuid() == 0


def test_state_lies_in_a_folder_per_host(
    isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State lies under XDG_STATE_HOME, else under the home, in a folder named after the host."""
    host = socket.gethostname()
    assert locations.state_dir() == isolated_environment / "state" / "drytorch" / host
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        expected = isolated_environment / "home" / ".local" / "state" / "drytorch" / host
        assert locations.state_dir() == expected
    folders = [
        locations.journal_dir(),
        locations.spool_dir(),
        locations.owed_dir(),
        locations.logs_dir(),
    ]
    assert [folder.name for folder in folders] == ["journal", "spool", "owed", "logs"]
    assert {folder.parent for folder in folders} == {locations.state_dir()}


def test_naming_a_folder_makes_none(isolated_environment: Path) -> None:
    """Asking where things lie leaves no trace."""
    locations.journal_dir()
    locations.runtime_dir()
    locations.default_endpoint(locations.journal_dir())
    assert list((isolated_environment / "state").iterdir()) == []
    assert list((isolated_environment / "run").iterdir()) == []


def test_sockets_without_a_runtime_folder(
    isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sockets lie under XDG_RUNTIME_DIR, or in /tmp where that is unset, relative or gone."""
    assert locations.runtime_dir() == isolated_environment / "run" / "drytorch"
    fallback = Path(f"/tmp/drytorch-{os.getuid()}")  # noqa: S108  # the documented place
    for value in ("", "run", str(isolated_environment / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert locations.runtime_dir() == fallback
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert locations.runtime_dir() == fallback


def test_private_folders(tmp_path: Path) -> None:
    """A private folder is made with its parents, for its owner only, and may be there already."""
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        assert locations.private_folder(folder) == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_folders_that_are_not_private(tmp_path: Path) -> None:
    """A folder that others may enter, a link and a file are refused, each in one sentence."""
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o750)
    (tmp_path / "file").touch()
    own = locations.private_folder(tmp_path / "own")
    (tmp_path / "link").symlink_to(own)
    for name, word in (("loose", "chmod 700"), ("link", "not a folder"), ("none", "0700")):
        with pytest.raises(LocationError, match=word):
            locations.check_private(tmp_path / name)
    with pytest.raises(LocationError, match="cannot be made"):
        locations.private_folder(tmp_path / "file" / "below")
    with pytest.raises(LocationError, match="file"):
        locations.private_folder(tmp_path / "file")


@pytest.mark.skipif(not ROOT, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """A folder that belongs to another user is refused."""
    folder = locations.private_folder(tmp_path / "theirs")
    os.chown(folder, 12345, 12345)
    with pytest.raises(LocationError, match="another user"):
        locations.private_folder(folder)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        (
            "tcp://127.0.0.1:7800",
            ("tcp://127.0.0.1:7800", "tcp://127.0.0.1:7801", "tcp://127.0.0.1:7802"),
        ),
        ("tcp://host", ("tcp://host:7750", "tcp://host:7751", "tcp://host:7752")),
        ("tcp://host:1/", ("tcp://host:1", "tcp://host:2", "tcp://host:3")),
        ("tcp://[::1]:65533", ("tcp://[::1]:65533", "tcp://[::1]:65534", "tcp://[::1]:65535")),
        ("tcp://[::1]", ("tcp://[::1]:7750", "tcp://[::1]:7751", "tcp://[::1]:7752")),
        ("tcp://*:7750", ("tcp://*:7750", "tcp://*:7751", "tcp://*:7752")),
        ("ipc:///a/b", tuple(f"ipc:///a/b/{n}.sock" for n in ("ingest", "control", "fanout"))),
        ("ipc:///a/b/", tuple(f"ipc:///a/b/{n}.sock" for n in ("ingest", "control", "fanout"))),
    ],
)
def test_one_url_names_three_addresses(url: str, addresses: tuple[str, str, str]) -> None:
    """One URL gives the three addresses, and the endpoint gives a URL for the same."""
    found = Endpoint.from_url(url)
    assert (found.ingest, found.control, found.fanout) == addresses
    assert Endpoint.from_url(found.url) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:7750",
        "http://host:7750",
        "tcp://",
        "tcp://:7750",
        "tcp://host:",
        "tcp://host:0",
        "tcp://host:65534",
        "tcp://host:70000",
        "tcp://host:port",
        "tcp://host:-1",
        "tcp://host:1/path",
        "tcp://host:1?q",
        "tcp://user@host:1",
        "tcp://[::1",
        "ipc://",
        "ipc://relative",
        "ipc:///" + "x" * 100,
    ],
)
def test_bad_urls(url: str) -> None:
    """A URL that names no broker is refused in one sentence that says what to write."""
    with pytest.raises(EndpointError) as caught:
        Endpoint.from_url(url)
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("ipc:///a", True),
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.1.2.3:1", True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://0.0.0.0:1", False),
        ("tcp://*:1", False),
        ("tcp://[::]:1", False),
        ("tcp://10.0.0.1:1", False),
        ("tcp://host:1", False),
    ],
)
def test_loopback(url: str, *, loopback: bool) -> None:
    """Only addresses that nobody else can reach count as loopback."""
    assert Endpoint.from_url(url).loopback == loopback


def test_ports_of_the_handshake() -> None:
    """Ports that a handshake tells replace the next two; host and control stay."""
    base = Endpoint.from_url("tcp://[::1]:7000")
    assert base.with_ports({}) == base
    assert base.with_ports({"ingest": 1, "fanout": 2}) == Endpoint(
        "tcp://[::1]:1", "tcp://[::1]:7001", "tcp://[::1]:2"
    )
    local = Endpoint.from_url("ipc:///a")
    assert local.with_ports({"ingest": 1}) == local
    assert (local.folder, base.folder) == (Path("/a"), None)


def test_two_journals_never_share_an_endpoint(tmp_path: Path) -> None:
    """The default endpoint depends on the real path of the journal's folder, however named."""
    one, other, link = tmp_path / "one", tmp_path / "other", tmp_path / "link"
    one.mkdir()
    link.symlink_to(one)
    assert locations.default_endpoint(one) == locations.default_endpoint(link)
    assert locations.default_endpoint(one) == locations.default_endpoint(other / ".." / "one")
    assert locations.default_endpoint(one) != locations.default_endpoint(other)
    folder = locations.default_endpoint(one).folder
    assert folder is not None
    assert folder.parent == locations.runtime_dir()
    assert len(folder.name) == 8


def test_long_runtime_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a socket's path would be too long for the kernel, sockets lie in /tmp."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    found = locations.default_endpoint(tmp_path)
    assert found.folder is not None
    assert found.folder.parent == locations.fallback_runtime_dir()


@pytest.mark.parametrize("length", [107, 108])
def test_longest_socket_path(length: int, tmp_path: Path) -> None:
    """A path of 107 bytes is allowed and can be bound; one more is refused."""
    base = Path("/tmp") / tmp_path.parent.name  # noqa: S108  # short on purpose
    folder = base / ("y" * (length - len(str(base)) - len("//control.sock")))
    if length > locations.MAX_SOCKET_PATH:
        with pytest.raises(EndpointError, match="too long"):
            Endpoint.from_url(f"ipc://{folder}")
        return
    path = Endpoint.from_url(f"ipc://{folder}").control.removeprefix("ipc://")
    assert len(path) == length
    folder.mkdir(parents=True)
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(path)
    finally:
        Path(path).unlink()
        folder.rmdir()


def test_endpoint_files(tmp_path: Path) -> None:
    """The endpoint file is written for its owner, whole, and read back."""
    content = EndpointFile("tcp://127.0.0.1:7750", 17, "ab" * 16)
    assert locations.read_endpoint(tmp_path) is None
    for _ in range(2):
        locations.write_endpoint(tmp_path, content)
    assert locations.read_endpoint(tmp_path) == content
    assert [path.name for path in tmp_path.iterdir()] == [locations.ENDPOINT_FILE]
    assert (tmp_path / locations.ENDPOINT_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": "u", "pid": "x", "journal": "j"}'])
def test_damaged_endpoint_files(tmp_path: Path, text: str) -> None:
    """An endpoint file that cannot be read counts as none."""
    (tmp_path / locations.ENDPOINT_FILE).write_text(text)
    assert locations.read_endpoint(tmp_path) is None
