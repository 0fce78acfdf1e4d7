"""What CSV files look like, and what repetition, interleaving and other people do to them."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries import RUN_ID, deliver, feed, files, metric, origin, start, stop
from drytorch_client.declarations import declare
from drytorch_schemas.events import Event
from drytorch_trackers import CSVDumper, Delivery, TrackerContext
from drytorch_trackers.errors import FolderTakenError, TrackerError, UnsafeNameError

PLACE = "csv_metrics/Exp/2025-08-01/12h54m21s"
FILE = f"{PLACE}/net/Trainer.csv"


def write(par_dir: Path, happened: Sequence[Event], first: int = 1) -> dict[str, bytes]:
    """Feed a fresh tracker and return all files."""
    feed(CSVDumper(), deliver(happened, first=first), par_dir)
    return files(par_dir)


def lines(*rows: str) -> bytes:
    """Return rows with DRYTorch's line ends."""
    return "".join(f"{row}\r\n" for row in rows).encode()


HEADER = '"Model","Source","Epoch","loss"'
ROWS = [f'"net","Trainer",{epoch},{epoch / 2}' for epoch in range(1, 5)]
METRICS: list[Event] = [metric(epoch, loss=epoch / 2) for epoch in range(1, 5)]


def test_late_metric_gets_a_column(tmp_path: Path) -> None:
    """A metric that appears late lengthens the header, and other cells of its column stay empty."""
    happened = [
        metric(1, loss=1),
        metric(2, values={"f1, 'x'": 0.5}, loss=2),
        metric(3, values={"f1, 'x'": 0.5}),
    ]
    assert write(tmp_path, happened)[FILE] == lines(
        """"Model","Source","Epoch","loss","f1, 'x'\"""",
        '"net","Trainer",1,1,',
        '"net","Trainer",2,2,0.5',
        '"net","Trainer",3,,0.5',
    )


def test_order_of_metrics_may_change(tmp_path: Path) -> None:
    """A value stands below its name, in whichever order an event has them."""
    written = write(tmp_path, [metric(1, a=1, b=2), metric(2, values={"b": 2, "a": 1})])
    assert written[FILE] == lines(
        '"Model","Source","Epoch","a","b"', '"net","Trainer",1,1,2', '"net","Trainer",2,1,2'
    )


def test_steps_have_a_file_of_their_own(tmp_path: Path) -> None:
    """Metrics of steps go to their own file, which no source's name can collide with."""
    written = write(
        tmp_path,
        [metric(1, "a", step=3, x=1), metric(1, "a.steps", x=2), metric(1, "a.steps", step=4, x=3)],
    )
    assert {name.rpartition("/")[2]: data.splitlines()[-1] for name, data in written.items()} == {
        "a.steps.csv": b'"net","a",1,3,1',
        "a%2Esteps.csv": b'"net","a.steps",1,2',
        "a.steps.steps.csv": b'"net","a.steps",1,4,3',
    }


def test_equal_sources_of_two_models(tmp_path: Path) -> None:
    """Each model's file of a source has its header (DRYTorch forgets the second)."""
    written = write(tmp_path, [metric(1, loss=0.5), metric(1, model="other", loss=0.5)])
    assert written[f"{PLACE}/other/Trainer.csv"].startswith(HEADER.encode())


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd.csv"),
        ("/absolute", "%2Fabsolute.csv"),
        ("C:\\x", "C:\\x.csv"),
        ("two\nlines\0", "two%0Alines%00.csv"),
        ("50%", "50%.csv"),
        ("%2F", "%252F.csv"),
        ("=cmd()", "=cmd().csv"),
        ("模型 é شبكة", "模型 é شبكة.csv"),
    ],
)
def test_names_become_file_names(tmp_path: Path, name: str, file: str) -> None:
    """A name stays inside its folder, whatever it holds, and can be loaded again."""
    feed(tracker := CSVDumper(), deliver([metric(1, name, model=name, loss=1.0)]), tmp_path)
    folder = tmp_path / PLACE / file.removesuffix(".csv")
    assert [path.name for path in folder.iterdir()] == [file]
    assert tracker.load_metrics(name) == {name: ([1], {"loss": [1.0]})}


def test_long_names(tmp_path: Path) -> None:
    """Names of 10,000 characters that differ at the end have files of their own."""
    long = "模" * 9_999
    feed(
        tracker := CSVDumper(),
        deliver([metric(1, long + end, loss=1.0) for end in "ab"]),
        tmp_path,
    )
    assert len(files(tmp_path)) == 2
    assert set(tracker.load_metrics("net")) == {long + "a", long + "b"}


@pytest.mark.parametrize("name", [".", "..", ""])
def test_dots_are_refused(tmp_path: Path, name: str) -> None:
    """A name that would be another folder is refused."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(tmp_path))
    for event in (metric(1, model=name, loss=1.0), metric(1, name, loss=1.0)):
        with pytest.raises(UnsafeNameError, match="cannot name a file"):
            tracker.handle(deliver([event])[0])
    tracker.clean_up()
    assert files(tmp_path) == {}


EVENT = st.builds(
    metric,
    st.integers(1, 3),
    st.sampled_from(["Trainer", "Test"]),
    model=st.sampled_from(["net", "gan"]),
    step=st.none() | st.integers(0, 2),
    values=st.dictionaries(
        st.sampled_from(["a", "b", 'c"\r\n']),
        st.floats() | st.integers(-9, 9),
        min_size=1,
    ),
)


@settings(max_examples=40, deadline=None)
@given(happened=st.lists(EVENT, max_size=12), data=st.data())
def test_any_suffix_again(
    tmp_path_factory: pytest.TempPathFactory, happened: list[Event], data: st.DataObject
) -> None:
    """Handling any suffix of the events again, in any number of workers, changes no byte."""
    once, again = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("again")
    feed(CSVDumper(), deliver([start(), *happened, stop()]), once)
    deliveries = deliver([start(), *happened, stop()])
    done = 0
    while done < len(deliveries):
        first = data.draw(st.integers(0, done))
        last = data.draw(st.integers(done + 1, len(deliveries)))
        feed(CSVDumper(), deliveries[first:last], again)
        done = last
    feed(CSVDumper(), deliveries, again)
    assert files(again) == files(once)


@settings(max_examples=30, deadline=None)
@given(order=st.permutations([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]))
def test_runs_at_once(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    """Runs of equal names that come interleaved write what each writes alone."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [
        deliver([start(), metric(1, loss=n), metric(2, late=n), stop()], origin(f"{n}" * 32))
        for n in range(3)
    ]
    upcoming = [iter(run) for run in runs]
    feed(CSVDumper(), [next(upcoming[n]) for n in order], folder)
    first_rows = sorted(dict.fromkeys(order), key=lambda n: _second(order, n))
    for place, run in enumerate(first_rows):
        alone = tmp_path_factory.mktemp("alone")
        feed(CSVDumper(), runs[run], alone)
        suffix = f"_{place}" if place else ""
        assert files(folder)[f"{PLACE}{suffix}/net/Trainer.csv"] == files(alone)[FILE]
    assert len(files(folder)) == 3


def _second(order: list[int], run: int) -> int:
    """Return when a run's second event comes: its first row."""
    return [place for place, each in enumerate(order) if each == run][1]


def test_late_row_takes_its_place(tmp_path: Path) -> None:
    """An event that was put aside and comes again later stands where it belongs."""
    deliveries = deliver(METRICS)
    for put_aside in range(len(deliveries)):
        folder = tmp_path / str(put_aside)
        rest = [each for each in deliveries if each is not deliveries[put_aside]]
        feed(CSVDumper(), rest, folder)
        feed(CSVDumper(), deliveries, folder)
        assert files(folder)[FILE] == lines(HEADER, *ROWS)


def _unsynced(folder: Path, happened: Sequence[Event]) -> Path:
    """Let a tracker write and vanish before it flushes."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(folder))
    for number, delivery in enumerate(deliver(happened)):
        tracker.handle(delivery)
        if number == 0:
            tracker.flush()
    assert tracker._folders is not None
    tracker._folders.release_all()
    return folder / FILE


@pytest.mark.parametrize("damage", ["zeros", "shorter", "mixed"])
def test_lost_power(tmp_path: Path, damage: str) -> None:
    """Rows that did not reach the disk before a power cut are written again, no other is lost."""
    path = _unsynced(tmp_path, METRICS[:3])
    data = path.read_bytes()
    keep = len(lines(HEADER, ROWS[0]))
    harm: dict[str, Callable[[], bytes]] = {
        "zeros": lambda: data[:keep] + bytes(len(data) - keep),
        "shorter": lambda: data[: keep + 5],
        "mixed": lambda: data[:keep] + bytes(10) + data[keep + 10 :],
    }
    path.write_bytes(harm[damage]())
    assert write(tmp_path, METRICS[1:], 2)[FILE] == lines(HEADER, *ROWS)


def test_torn_row_is_gone_at_once(tmp_path: Path) -> None:
    """A torn row is cut off when the next worker opens the file, whatever that handles first."""
    path = _unsynced(tmp_path, METRICS[:3])
    path.write_bytes(path.read_bytes()[:-4])
    feed(CSVDumper(), deliver(METRICS[:1]), tmp_path)
    assert path.read_bytes() == lines(HEADER, *ROWS[:2])


def test_disk_full_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that went half to a full disk is written once when there is room again."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(tmp_path))
    one, two = deliver(METRICS[:2])
    tracker.handle(one)

    class Full:
        def hit(self, name: str) -> None:
            """Let all else pass."""

        def torn(self, name: str, file: object, data: bytes) -> None:
            """Take half a row."""
            del name
            file.write(data[: len(data) // 2])  # type: ignore[attr-defined]  # a file
            raise OSError(28, "No space left on device")

    (table,) = tracker._tables[one.run].values()
    with monkeypatch.context() as patch:
        patch.setattr(table, "_failpoints", Full())
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                tracker.handle(two)
    tracker.handle(two)
    tracker.clean_up()
    assert files(tmp_path)[FILE] == lines(HEADER, *ROWS[:2])


# ---- other people's changes


def test_rows_of_others_stay(tmp_path: Path) -> None:
    """A row that somebody added to a finished file stays, and new columns reach it."""
    write(tmp_path, METRICS[:2])
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'"net","by hand",9,9.5')
    late = metric(3, loss=1.5, late=1)
    assert write(tmp_path, [*METRICS[:2], late])[FILE] == lines(
        HEADER + ',"late"',
        *(f"{row}," for row in ROWS[:2]),
        '"net","by hand",9,9.5,',
        '"net","Trainer",3,1.5,1',
    )


def test_edited_file_stays_as_it_is(tmp_path: Path) -> None:
    """A file that somebody edited, line ends included, is gone on with and adds nothing twice."""
    write(tmp_path, METRICS[:3])
    edited = HEADER + "\n" + "\n".join(ROWS[1:3])
    (tmp_path / FILE).write_text(edited)
    assert write(tmp_path, METRICS)[FILE] == f"{edited}\r\n{ROWS[3]}\r\n".encode()
    late = [*METRICS, metric(5, late=1)]
    written = write(tmp_path, late)[FILE].decode().splitlines()
    assert written == [HEADER + ',"late"', *(f"{r}," for r in ROWS[1:]), '"net","Trainer",5,,1']
    assert write(tmp_path, late)[FILE].decode().splitlines() == written


def test_edit_of_a_length_seen_before(tmp_path: Path) -> None:
    """A file that was edited to the length that it once had is not taken for a shortened one."""
    for last in range(1, 5):
        write(tmp_path, METRICS[:last])
    edited = lines(HEADER, ROWS[0], *ROWS[2:])
    assert len(edited) == len(lines(HEADER, *ROWS[:3]))
    (tmp_path / FILE).write_bytes(edited)
    assert write(tmp_path, METRICS)[FILE] == edited


def test_deleted_file_comes_back(tmp_path: Path) -> None:
    """A file that somebody deleted, or cut at a row, is completed by a replay."""
    for left in (b"", lines(HEADER, ROWS[0])):
        expected = write(tmp_path, METRICS)
        (tmp_path / FILE).write_bytes(left)
        assert write(tmp_path, METRICS) == expected
    (tmp_path / FILE).unlink()
    assert write(tmp_path, METRICS) == expected


def test_folder_vanishes_under_way(tmp_path: Path) -> None:
    """Where the folder is removed during a run, later rows go to a new file (D11)."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(tmp_path))
    one, two = deliver(METRICS[:2])
    tracker.handle(one)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).parent.rmdir()
    tracker.handle(two)
    tracker.clean_up()
    assert files(tmp_path)[FILE] == lines(HEADER, ROWS[1])


def test_files_of_another_program(tmp_path: Path) -> None:
    """As in DRYTorch, a new run replaces what it finds, a resumed one goes on with it."""
    for resumed in (False, True):
        folder = tmp_path / str(resumed)
        (folder / FILE).parent.mkdir(parents=True)
        (folder / FILE).write_bytes(lines(HEADER, ROWS[0]))
        written = write(folder, [start(resumed=resumed), METRICS[1]])
        assert written[FILE] == lines(HEADER, *([ROWS[0]] if resumed else []), ROWS[1])


def test_foreign_columns_are_refused(tmp_path: Path) -> None:
    """A file with other columns is left alone, with a sentence."""
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_bytes(b"time,loss\r\n")
    tracker = CSVDumper()
    tracker.setup(TrackerContext(tmp_path))
    resumed, row = deliver([start(resumed=True), METRICS[0]])
    tracker.handle(resumed)
    with pytest.raises(TrackerError, match="does not start with the columns Model, Source, Epoch"):
        tracker.handle(row)
    tracker.clean_up()
    assert (tmp_path / FILE).read_bytes() == b"time,loss\r\n"


def test_one_writer(tmp_path: Path) -> None:
    """A second writer of a run's folder is refused until the first has handled the run's end."""
    first, second = CSVDumper(), CSVDumper()
    for tracker in (first, second):
        tracker.setup(TrackerContext(tmp_path))
    happened = deliver([*METRICS[:1], stop(), *METRICS[1:]])
    first.handle(happened[0])
    with pytest.raises(FolderTakenError, match="is written by another worker") as caught:
        second.handle(happened[0])
    assert caught.value.exit_code == 75
    first.handle(happened[1])
    first.flush()
    second.handle(happened[0])
    second.handle(happened[2])
    second.clean_up()
    assert files(tmp_path)[FILE] == lines(HEADER, *ROWS[:2])


# ---- options


def test_own_parent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option `par_dir` wins over the worker's, and travels as an absolute path."""
    monkeypatch.chdir(tmp_path)
    tracker = CSVDumper(Path("own"))
    monkeypatch.chdir("/")  # a script may change its folder before the run starts
    declared = declare(tracker)
    feed(declared.build(lambda _: CSVDumper), deliver(METRICS[:1]), tmp_path / "workers")
    assert list(files(tmp_path / "own")) == [FILE]
    assert not (tmp_path / "workers").exists()


class Semicolons(csv.excel):
    """A dialect as a user writes one."""

    delimiter = ";"
    lineterminator = "\n"


@pytest.mark.parametrize("dialect", ["excel-tab", "unix", Semicolons, Semicolons()])
def test_dialects(tmp_path: Path, dialect: type[csv.Dialect] | csv.Dialect | str) -> None:
    """Any dialect of the csv module travels, is written, gets late columns and is read."""
    tracker = declare(CSVDumper(dialect=dialect)).build(lambda _: CSVDumper)
    happened = [metric(1, 'a"b;,\t', x=1.5), metric(2, 'a"b;,\t', x=2, late=1)]
    feed(tracker, deliver(happened), tmp_path)
    ((_, data),) = files(tmp_path).items()
    rows = list(csv.reader(data.decode().splitlines(), dialect))
    assert rows == [
        ["Model", "Source", "Epoch", "x", "late"],
        ["net", 'a"b;,\t', "1", "1.5", ""],
        ["net", 'a"b;,\t', "2", "2", "1"],
    ]
    loaded = tracker.load_metrics("net")['a"b;,\t']
    assert loaded[0] == [1, 2]
    assert loaded[1]["x"] == [1.5, 2.0]


# ---- loading


def test_loading_where_subscribed(tmp_path: Path) -> None:
    """The subscribed object loads what a worker wrote, after waiting for it."""
    tracker = CSVDumper()
    waited: list[object] = []
    with pytest.raises(TrackerError, match="no current run"):
        tracker.load_metrics("net")
    facts = {"experiment": "Exp", "run_id": RUN_ID, "run": origin().run, "par_dir": tmp_path}

    def wait(whom: object) -> None:
        waited.append(whom)
        write(tmp_path, [*METRICS, metric(9, step=1, x=1), metric(1, "Test", model="b", loss=1)])

    tracker.make_current(**facts, wait=wait)
    tracker.reset_current()
    loaded = tracker.load_metrics("net")
    assert loaded == {"Trainer": ([1, 2, 3, 4], {"loss": [0.5, 1.0, 1.5, 2.0]})}
    assert waited == [tracker]
    assert tracker.load_metrics("net", 2)["Trainer"][0] == [1, 2]
    assert tracker.load_metrics("unheard of") == {}
    with pytest.raises(ValueError, match="max_epoch is -2"):
        tracker.load_metrics("net", -2)
    with pytest.raises(TrackerError, match="no metrics of 'Nobody' for model 'net'"):
        tracker.read_csv("net", "Nobody")


def test_resumed_run_without_metrics(tmp_path: Path) -> None:
    """Loading from a resumed run that has nothing for a model is an error, as in DRYTorch."""
    feed(tracker := CSVDumper(), [], tmp_path)
    tracker.handle(deliver([start(resumed=True)])[0])
    with pytest.raises(TrackerError, match="The resumed run has no metrics of model 'net'"):
        tracker.load_metrics("net")


def test_parent_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A parent folder that cannot be written is known at set-up, not at the first row."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        CSVDumper().setup(TrackerContext(tmp_path / "file"))


def test_live_and_direct_use(tmp_path: Path) -> None:
    """A tracker that was not set up says so instead of writing somewhere."""
    tracker = CSVDumper()
    delivery: Delivery = deliver(METRICS[:1])[0]
    with pytest.raises(TrackerError, match="was not set up"):
        tracker.handle(delivery)
    assert not list(tmp_path.iterdir())
