"""CSV files and side files that were torn at any byte are made whole again."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from deliveries import deliver, feed, files, metric, start
from drytorch_schemas import events
from drytorch_schemas.events import Event
from drytorch_trackers import CSVDumper, TrackerContext, applied

PLACE = "csv_metrics/Exp/2025-08-01/12h54m21s"
FILE = f"{PLACE}/net/Trainer.csv"
SIDE = ".drytorch/Exp/csv_metrics/folders/2025-08-01/12h54m21s/applied/net/Trainer.csv.applied"
FIRST: list[Event] = [metric(1, values={"é☃": 0.5, "loss": 25})]


def killed(par_dir: Path, happened: list[Event]) -> Path:
    """Handle events without a flush, as who is killed before, and return the file."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(par_dir, "worker"))
    for delivery in deliver(happened):
        tracker.handle(delivery)
    assert tracker._folders is not None
    tracker._folders.release_all()
    return par_dir / FILE


def test_first_row_torn_at_any_byte(tmp_path: Path) -> None:
    """The first row, torn inside a character or in its last number, comes once and complete."""
    path = killed(tmp_path, FIRST)
    whole, side = path.read_bytes(), (tmp_path / SIDE).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        (tmp_path / SIDE).write_bytes(side)
        feed(CSVDumper(), deliver(FIRST), tmp_path)
        assert path.read_bytes() == whole, length


def test_torn_first_row_does_not_stop_a_living_worker(tmp_path: Path) -> None:
    """The first row that went to a full disk in part is written when there is room again."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(tmp_path))

    class Full:
        full = True

        def hit(self, name: str) -> None:
            """Let all else pass."""

        def torn(self, name: str, file: BinaryIO, data: bytes) -> None:
            """Take a row up to the middle of a character."""
            del name
            if not self.full:
                return
            self.full = False
            file.write(data[: data.index("☃".encode()) + 1])
            raise OSError(28, "No space left on device")

    (delivery,) = deliver(FIRST)
    tracker._failpoints = Full()  # type: ignore[assignment]  # stands for failpoints
    with pytest.raises(OSError, match="No space left"):
        tracker.handle(delivery)
    tracker.handle(delivery)
    tracker.clean_up()
    assert files(tmp_path)[FILE].count("é☃".encode()) == 1


FULL_SIDE = """
import resource, signal, sys
from pathlib import Path
from deliveries import deliver, metric
from drytorch_trackers import CSVDumper, TrackerContext
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tracker = CSVDumper()
tracker.setup(TrackerContext(Path(sys.argv[1])))
events = deliver([metric(n, loss=n) for n in range(1, 11)])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for number, delivery in enumerate(events):
    if number == 5:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
        for _ in range(2):
            try:
                tracker.handle(delivery)
            except OSError:
                print("refused")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    tracker.handle(delivery)
tracker.clean_up()
"""


def test_side_file_on_a_full_disk(tmp_path: Path) -> None:
    """A record of which a full disk took a part is written again: the next worker knows it."""
    room = len(applied.MAGIC) + 5 * applied.RECORD_SIZE + 10
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    program = [sys.executable, "-c", FULL_SIDE, str(tmp_path), str(room)]
    support = Path(__file__).parents[1] / "support"
    done = subprocess.run(program, cwd=support, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused", "refused"]
    before = files(tmp_path)
    assert before[FILE].count(b"\r\n") == 11
    noted = [each for each in applied.read(tmp_path / SIDE) if each.kind == applied.ROW]
    assert len(noted) == 10
    feed(CSVDumper(), deliver([metric(n, loss=n) for n in range(1, 11)]), tmp_path)
    assert files(tmp_path) == before


def test_killed_while_it_takes_over_an_edited_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody shortened stays as it is, also if its next worker is killed at once."""
    happened: list[Event] = [metric(n, loss=n) for n in range(1, 5)]
    feed(CSVDumper(), deliver(happened), tmp_path)
    path = tmp_path / FILE
    edited = path.read_bytes().replace(b'"net","Trainer",2,2\r\n', b"")
    path.write_bytes(edited)

    class Killed(BaseException):
        """Stands for the kill."""

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(applied.AppliedLog, "append", kill)
        patch.setattr(applied.AppliedLog, "keep", kill)
        with pytest.raises(Killed):
            killed(tmp_path, happened[:1])
    side = tmp_path / ".drytorch/Exp/csv_metrics/folders/2025-08-01/12h54m21s/writer.lock"
    side.unlink()  # the lock of who was killed
    feed(CSVDumper(), deliver(happened), tmp_path)
    assert path.read_bytes() == edited


def test_resumed_run_that_was_lost_goes_on_with_files_of_another_program(tmp_path: Path) -> None:
    """A source that logs only after its resumed run was lost and found keeps DRYTorch's rows."""
    theirs = b'"Model","Source","Epoch","loss"\r\n"net","Test",1,0.5\r\n'
    path = tmp_path / PLACE / "net" / "Test.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(theirs)
    tracker = CSVDumper()
    tracker.setup(TrackerContext(tmp_path, "worker"))
    lost = events.RunLostEvent(producer="producer", reason="asleep")
    found = events.RunFoundEvent(producer="producer")
    happened = [start(resumed=True), metric(2, loss=1), lost, found, metric(2, "Test", loss=0.25)]
    for delivery in deliver(happened):
        tracker.handle(delivery)
        tracker.flush()
    tracker.clean_up()
    assert path.read_bytes() == theirs + b'"net","Test",2,0.25\r\n'
