"""`drytorch-broker`: exit codes, one sentence on stderr, and what the commands print."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from drytorch_schemas import journal_reader, locations, records
from raw_broker import COMMAND, Client, Daemon, run
from uplinks import hello

NOBODY = 65534


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence on stderr."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("drytorch-broker: ")
    assert line.endswith(".")
    return line


def journal(folder: Path) -> Path:
    """Return a journal with ten records."""
    with Daemon(folder) as broker, Client(broker.url) as client:
        client.welcome()
        client.publish(1, 9)
        client.acknowledged(9)
    return folder


def test_start_detached_status_stop() -> None:
    """A detached broker is ready when its starter ends, and gone when `stop` ends."""
    started = run("start", "--detach", "--idle-exit", "60")
    assert started.returncode == 0, started.stderr
    place = locations.journal_dir()
    assert f"writes to {place}" in started.stdout
    assert locations.default_endpoint(place).url in started.stdout
    status = run("status", "--json")
    data = json.loads(status.stdout)
    assert (status.returncode, data["ready"], data["folder"]) == (0, True, str(place))
    assert [run("status", option).returncode for option in ("--ready", "--live")] == [0, 0]
    assert "broker      ready" in run("status").stdout
    process = psutil.Process(data["pid"])
    assert process.ppid() != os.getpid()
    assert os.getsid(data["pid"]) == data["pid"]
    files = {Path(file.path).name for file in process.open_files()}
    assert files == {"broker.log", "lock", "durable"}
    assert (place.stat().st_mode & 0o777, (place / "lock").stat().st_mode & 0o077) == (0o700, 0)
    assert run("stop").returncode == 0
    assert not psutil.pid_exists(data["pid"]) or process.status() == "zombie"
    assert run("stop").returncode == 0
    assert "listening on" in (place / "broker.log").read_text()


def test_nothing_runs() -> None:
    """Without a broker `status` says so with 69, and `stop` is content."""
    for options in ((), ("--live",)):
        done = run("status", *options)
        assert done.returncode == 69
        assert "No broker runs on" in sentence(done)
    assert run("stop").returncode == 0
    done = run("status", "--broker", "tcp://127.0.0.1:9")
    assert (done.returncode, "No broker answers on tcp://127.0.0.1:9" in done.stderr) == (69, True)


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_second_broker(tmp_path: Path, detach: tuple[str, ...]) -> None:
    """A second broker on a journal leaves with 75 and names the first (C13)."""
    with Daemon(tmp_path / "journal") as broker:
        done = run("start", "--journal", tmp_path / "journal", *detach)
        assert done.returncode == 75
        assert f"already running on {tmp_path / 'journal'}" in sentence(done)
        assert str(broker.process.pid) in done.stderr


def test_a_stale_lock_file(tmp_path: Path) -> None:
    """The lock and endpoint files of a killed broker are in nobody's way (C14)."""
    with Daemon(tmp_path / "journal") as broker:
        broker.kill()
    assert run("status", "--journal", tmp_path / "journal").returncode == 69
    with Daemon(tmp_path / "journal"):
        pass


def test_a_port_in_use(tmp_path: Path) -> None:
    """A port that somebody listens on, be it the third one, is refused with 75."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for first in (port, port - 2):
            listen = f"tcp://127.0.0.1:{first}"
            done = run("start", "--journal", tmp_path, "--listen", listen)
            assert done.returncode == 75
            assert f"{listen} or one of the next two ports is in use" in sentence(done)


def test_sockets_of_a_living_broker_are_not_stolen(tmp_path: Path) -> None:
    """A broker of another journal cannot take the ipc sockets of a living one."""
    with Daemon(tmp_path / "one") as broker:
        done = run("start", "--journal", tmp_path / "two", "--listen", broker.url)
        assert done.returncode == 75
        assert "Another broker listens on" in sentence(done)
        assert broker.ask("status")["ready"]


def test_three_free_ports(tmp_path: Path) -> None:
    """Port 0 takes three free ports in a row, and the endpoint file has the first."""
    with Daemon(tmp_path, "--listen", "tcp://localhost:0") as broker:
        port = int(broker.url.rpartition(":")[2])
        assert broker.url == f"tcp://127.0.0.1:{port}"
        assert broker.url in broker.line
        with Client(broker.url) as client:
            assert client.welcome().ports == {"ingest": port, "fanout": port + 2}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--listen", "tcp://0.0.0.0:7750"), 78, "--insecure"),
        (("--listen", "tcp://192.0.2.1:7750"), 78, "can be reached by others"),
        (("--listen", "tcp://192.0.2.1:7750", "--insecure"), 78, "Cannot listen on"),
        (("--listen", "http://x"), 64, "tcp://HOST:PORT"),
        (("--listen", "ipc://relative"), 64, "absolute"),
        (("--listen", "ipc:///tmp/" + "x" * 120), 64, "too long"),
        (("--listen", "tcp://127.0.0.1:65535"), 64, "too high"),
        (("--listen", "tcp://127.0.0.1:seven"), 64, "not a broker's URL"),
        (("--fsync", "sometimes"), 64, "sometimes"),
        (("--max-bytes", "many"), 64, "--max-bytes"),
        (("--lisen", "tcp://127.0.0.1:0"), 64, "nearest is --listen"),
        (("surplus",), 64, "surplus"),
    ],
)
def test_wrong_options(tmp_path: Path, options: tuple[str, ...], code: int, words: str) -> None:
    """A wrong option ends in one sentence and its exit code, and nothing is left behind."""
    done = run("start", "--journal", tmp_path / "journal", *options)
    assert done.returncode == code
    assert words in sentence(done)


def test_an_unknown_command() -> None:
    """An unknown command is a usage error, and help ends with real commands."""
    done = run("strat")
    assert done.returncode == 64
    assert "Did you mean 'start', 'status'? See `drytorch-broker --help`." in sentence(done)
    helped = run("-h")
    assert helped.returncode == 0
    assert [line.split() for line in helped.stdout.splitlines()[-2:]] == [
        ["drytorch-broker", "status"],
        ["drytorch-broker", "stop"],
    ]


def test_no_command() -> None:
    """Without a command the whole help is shown, line by line, and it is a usage error."""
    done = run()
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.splitlines() == run("--help").stdout.splitlines()


def as_nobody(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command without root's rights."""
    if os.getuid() != 0:
        return run(*arguments)
    code = (
        "import os, sys; from drytorch_broker import cli, launch, server;"  # root may read these
        f"os.setgid({NOBODY}); os.setuid({NOBODY}); sys.exit(cli.main())"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_folder_that_cannot_be_written(isolated_environment: Path) -> None:
    """A folder without permission is 77, a file in its place 74."""
    isolated_environment.chmod(0o755)
    refused = isolated_environment / "refused"
    refused.mkdir(mode=0o500)
    for place in (refused, refused / "journal"):
        done = as_nobody("start", "--journal", place)
        assert done.returncode == 77, done.stderr
        assert f"You may not write to {place}" in sentence(done)
    (isolated_environment / "file").touch()
    done = run("start", "--journal", isolated_environment / "file")
    assert done.returncode == 74
    assert "cannot be written" in sentence(done)


def test_a_folder_of_sockets_that_others_may_enter(isolated_environment: Path) -> None:
    """Sockets are not put where others may enter."""
    folder = isolated_environment / "open"
    folder.mkdir()
    folder.chmod(0o777)
    done = run("start", "--journal", isolated_environment / "j", "--listen", f"ipc://{folder}")
    assert done.returncode == 78
    assert "chmod 700" in done.stderr


def test_a_folder_without_flock(tmp_path: Path) -> None:
    """A file system without flock is refused with 78 and a sentence (C15)."""
    code = (
        "import errno, fcntl, sys\n"
        "def flock(*_): raise OSError(errno.ENOLCK, 'No locks available')\n"
        "fcntl.flock = flock\n"
        "from drytorch_broker.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "start", "--journal", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 78
    assert "no working flock" in sentence(done)


def test_an_idle_broker_leaves(tmp_path: Path) -> None:
    """A broker with nothing to do leaves by itself, with 0, once its last producer has left."""
    broker = Daemon(tmp_path, "--idle-exit", "0.5")
    with Client(broker.url) as client:
        client.welcome()
        time.sleep(1.5)
        assert broker.process.poll() is None
    with Client(broker.url) as client:
        client.welcome(pid=2**22 + 1, host=socket.gethostname())
    assert broker.process.wait(15) == 0
    assert "leaving" in broker.process.communicate()[1]


def test_json_log_lines(tmp_path: Path) -> None:
    """With --log-format json every line of the log is a JSON object."""
    broker = Daemon(tmp_path, "--log-format", "json")
    code, log = broker.stop()
    assert code == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["level"] for line in lines] == ["info"] * len(lines)
    assert lines[0]["message"].startswith("listening on")


def test_sd_notify(tmp_path: Path, isolated_environment: Path) -> None:
    """A service manager is told READY and STOPPING."""
    address = str(isolated_environment / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(10)
        with Daemon(tmp_path, NOTIFY_SOCKET=address) as broker:
            assert manager.recv(100) == b"READY=1"
            broker.process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert broker.process.wait(10) == 0
            broker.process.communicate()


def test_check_a_good_journal(tmp_path: Path) -> None:
    """A whole journal is described by records and runs."""
    folder = journal(tmp_path / "journal")
    done = run("check", folder, *journal_reader.segments(folder))
    assert done.returncode == 0, done.stderr
    assert "10 records, offsets 0 to 9" in done.stdout
    assert "run Exp/r: running, 9 events" in done.stdout
    data = json.loads(run("check", folder, "--json").stdout)
    assert (data[0]["records"], data[0]["damages"]) == (10, [])


@pytest.mark.parametrize("harm", ["truncated", "flipped", "newer", "foreign"])
def test_check_a_bad_journal(tmp_path: Path, harm: str) -> None:
    """Damage, a foreign file and a newer version are told in a sentence, with 65."""
    (path,) = journal_reader.segments(journal(tmp_path / "journal"))
    data = bytearray(path.read_bytes())
    if harm == "truncated":
        del data[-7:]
    elif harm == "flipped":
        data[len(data) // 2] ^= 1
    elif harm == "newer":
        header = records.Header(records.JOURNAL, "ab" * 16, 0, version=99)
        data[:] = records.encode_header(header)
    else:
        data[:] = b"PK\x03\x04 and so on"
    path.write_bytes(data)
    done = run("check", path)
    assert done.returncode == 65
    if harm in {"newer", "foreign"}:
        assert {"newer": "version 99", "foreign": "not a journal"}[harm] in done.stderr
    else:
        assert "damage" in done.stdout


def test_check_what_is_not_there(tmp_path: Path) -> None:
    """A missing file is 66, a folder without segments 65."""
    done = run("check", tmp_path / "nothing")
    assert (done.returncode, str(tmp_path / "nothing") in done.stderr) == (66, True)
    assert run("check", tmp_path).returncode == 65


def test_a_newer_journal_is_not_opened(tmp_path: Path) -> None:
    """A broker refuses a journal of a newer version with 65, and leaves it as it is (C17)."""
    header = records.encode_header(records.Header(records.JOURNAL, "ab" * 16, 0, version=99))
    path = tmp_path / journal_reader.segment_name(0)
    path.write_bytes(header)
    done = run("start", "--journal", tmp_path)
    assert done.returncode == 65
    assert "version 99" in sentence(done)
    assert path.read_bytes() == header


def test_a_broker_beside_own_modules(tmp_path: Path) -> None:
    """Modules of the user's with our words for names are not imported."""
    for name in ("schemas", "trackers", "events", "broker", "client"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    done = subprocess.run(
        [*COMMAND, "start", "--detach", "--journal", "journal"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert run("stop", "--journal", tmp_path / "journal").returncode == 0


def test_a_runtime_folder_with_a_long_path(
    isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the runtime folder's path is too long for a socket the sockets lie in /tmp."""
    long = isolated_environment / ("x" * 100)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with Daemon(isolated_environment / "journal") as broker, Client(broker.url) as client:
        assert broker.url.startswith(f"ipc://{locations.fallback_runtime_dir()}/")
        assert client.call(hello()).durable == 0
    shutil.rmtree(broker.url.removeprefix("ipc://"))


def test_a_folder_in_tmp_of_somebody_else(
    isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of sockets is not used where others could exchange what is in it."""
    parent = isolated_environment / "run" / "drytorch"
    parent.mkdir()
    parent.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(parent.parent))
    done = run("start", "--journal", isolated_environment / "journal")
    assert done.returncode == 78
    assert "Others may enter" in sentence(done)
