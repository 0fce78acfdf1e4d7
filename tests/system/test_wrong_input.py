"""A user's mistake gets one sentence on stderr and a documented exit code."""

import random
import socket
import subprocess
from pathlib import Path

import pytest

from hosts import BIN, Host, eventually

SEGMENT = "00000000000000000000.msgpack"


def one_sentence(finished: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check the exit code, and that stderr is one line that holds the words."""
    assert finished.returncode == code, (finished.returncode, finished.stdout, finished.stderr)
    lines = finished.stderr.strip().splitlines()
    assert len(lines) == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    for word in words:
        assert word in lines[0], (word, lines[0])


def journal_of_a_run(host: Host) -> Path:
    """Return a segment that a real, finished run wrote."""
    assert host.finish(host.train(host.folder / "out", 3, PAUSE="0")).returncode == 0
    eventually(lambda: not host.workers(), 20, "the workers leave")
    host.broker("stop")
    state = Path(host.environment["XDG_STATE_HOME"])
    return next(state.glob("drytorch/*/journal/*.msgpack"))


@pytest.mark.system
def test_an_unknown_tracker_names_the_nearest(host: Host, tmp_path: Path) -> None:
    """A misspelt tracker ends with 64 and the name that was meant."""
    (tmp_path / SEGMENT).touch()
    one_sentence(host.drytorch("replay", SEGMENT, "--to", "cvs"), 64, "cvs", "csv")


@pytest.mark.system
def test_an_unknown_option_names_the_nearest(host: Host) -> None:
    """A misspelt option of either command ends with 64 and the option that was meant."""
    one_sentence(host.drytorch("tail", "--jsn"), 64, "--jsn", "--json")
    one_sentence(host.broker("start", "--journl", "x"), 64, "--journl", "--journal")


@pytest.mark.system
def test_a_missing_file(host: Host) -> None:
    """A file that is not there ends with 66, for replay and for check."""
    one_sentence(host.drytorch("replay", "gone.msgpack", "--to", "csv"), 66, "gone.msgpack")
    one_sentence(host.broker("check", "gone.msgpack"), 66, "gone.msgpack")


@pytest.mark.system
@pytest.mark.parametrize(
    "content", [b"a,b\r\n1,2\r\n", b"\x1f\x8b\x08\x00", random.Random(1).randbytes(4096)]
)
def test_a_file_that_is_no_journal(host: Host, tmp_path: Path, content: bytes) -> None:
    """A file of another format ends with 65 and writes nothing."""
    (tmp_path / SEGMENT).write_bytes(content)
    one_sentence(host.drytorch("replay", SEGMENT, "--to", "csv", "--par-dir", "o"), 65, SEGMENT)
    assert not (tmp_path / "o" / "csv_metrics").exists()


@pytest.mark.system
def test_a_truncated_journal(host: Host, tmp_path: Path) -> None:
    """A torn journal is read as far as it goes, then ends with 65."""
    segment = journal_of_a_run(host)
    torn = tmp_path / SEGMENT
    torn.write_bytes(segment.read_bytes()[:-7])
    finished = host.drytorch("replay", SEGMENT, "--to", "csv", "--par-dir", "o")
    one_sentence(finished, 65, SEGMENT)
    csv = tmp_path / "o" / "csv_metrics" / "Exp" / "r" / "net" / "Trainer.csv"
    assert csv.read_text().count("\n") == 4


@pytest.mark.system
def test_a_newer_major_version(host: Host, tmp_path: Path) -> None:
    """A journal of a newer format version ends with 65 and says to update."""
    from drytorch_schemas import records

    header = records.Header(
        format=records.JOURNAL, version=99, journal="ab" * 16, first=0, salt=1, created=1
    )
    (tmp_path / SEGMENT).write_bytes(records.encode_header(header))
    one_sentence(host.drytorch("replay", SEGMENT, "--to", "csv"), 65, "99", "pdate")


@pytest.mark.system
def test_a_folder_that_cannot_be_written(host: Host, tmp_path: Path) -> None:
    """A journal folder under a file ends with 74 or 77."""
    (tmp_path / "file").touch()
    finished = host.broker("start", "--journal", "file/journal")
    assert finished.returncode in (74, 77), finished.stderr
    one_sentence(finished, finished.returncode, "file/journal")


@pytest.mark.system
def test_a_port_in_use(host: Host) -> None:
    """A port that somebody else has ends with 75."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = host.broker("start", "--listen", f"tcp://127.0.0.1:{port}")
    one_sentence(finished, 75, str(port))


@pytest.mark.system
def test_a_broker_already_running(host: Host) -> None:
    """A second broker on one journal ends with 75, and the first goes on."""
    assert host.broker("start", "--detach").returncode == 0
    one_sentence(host.broker("start"), 75, "already")
    assert host.broker("status", "--live").returncode == 0
    assert host.broker("stop").returncode == 0


@pytest.mark.system
@pytest.mark.parametrize(
    "arguments", [("tail",), ("track", "csv"), ("workers",)], ids=lambda given: given[0]
)
def test_no_broker(host: Host, arguments: tuple[str, ...]) -> None:
    """Commands that need a broker end with 69 where there is none."""
    one_sentence(host.drytorch(*arguments), 69, "drytorch-broker start")


@pytest.mark.system
@pytest.mark.parametrize("url", ["http://x:1", "tcp://", "tcp://127.0.0.1:99999", "nonsense"])
def test_a_bad_url(host: Host, url: str) -> None:
    """A URL that cannot be a broker's ends with 64, as an option and in the environment."""
    one_sentence(host.drytorch("tail", "--broker", url), 64, url)
    one_sentence(host.drytorch("tail", DRYTORCH_BROKER=url), 64, url)
    one_sentence(host.broker("start", "--listen", url), 64, url)


@pytest.mark.system
def test_another_address_without_keys(host: Host) -> None:
    """An address that is not loopback is refused with 78 unless --insecure is given."""
    one_sentence(host.broker("start", "--listen", "tcp://0.0.0.0:0"), 78, "--insecure")


@pytest.mark.system
def test_a_missing_extra(host: Host, tmp_path: Path) -> None:
    """A tracker whose library is not installed ends with 69 and the pip line to run."""
    package = tmp_path / "toy-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[drytorch_trackers]\ntoy = toy_tracker:Toy\n")
    (tmp_path / "toy_tracker.py").write_text("import a_library_that_nobody_has\n")
    (tmp_path / SEGMENT).touch()
    finished = host.drytorch("replay", SEGMENT, "--to", "toy", PYTHONPATH=str(tmp_path))
    one_sentence(finished, 69, "a_library_that_nobody_has", "pip install")


@pytest.mark.system
def test_an_experiment_name_with_a_slash(host: Host) -> None:
    """The API refuses a name that cannot be a folder with a named exception."""
    script = "from drytorch_client import Experiment\nExperiment(None, name='a/b')"
    finished = host.run(BIN / "python", "-c", script)
    assert finished.returncode == 1
    assert "InvalidNameError" in finished.stderr.splitlines()[-1]
    assert "'/'" in finished.stderr.splitlines()[-1]
