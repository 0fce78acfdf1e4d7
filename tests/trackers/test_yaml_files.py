"""Which YAML files a run gives, and what repetition, interleaving and other people do to them."""

import dataclasses
import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries import RUN_TS, deliver, feed, files, metric, origin, start
from drytorch_client.declarations import declare
from drytorch_schemas.envelope import decode, encode
from drytorch_schemas.events import Event, RunLostEvent, UpdateExperimentEvent
from drytorch_trackers import Delivery, TrackerContext, YamlDumper, read_yaml, registry
from drytorch_trackers.errors import FolderTakenError, MissingExtraError, UnsafeNameError
from yaml_child import EVENTS, actor, model, stop

FILES = "metadata/**/*"
PLACE = "metadata/Exp/2025-08-01/12h54m21s"
STAMP = "2025-08-01@12h54m21s"
LATER = RUN_TS + datetime.timedelta(days=1)
CONFIG = f"{PLACE}/config_{STAMP}.yaml"
EXTENDED = f"{PLACE}/extended_{STAMP}.yaml"
SUMMARY = f"{PLACE}/summary_{STAMP}.yaml"


def write(par_dir: Path, happened: Sequence[Event], first: int = 1) -> dict[str, bytes]:
    """Feed a fresh tracker and return all files."""
    feed(YamlDumper(), deliver(happened, first=first), par_dir)
    return files(par_dir, FILES)


def extend(*tags: str, **config: object) -> Event:
    """Return what `experiment.extend` reports."""
    return UpdateExperimentEvent(config=config, tags=list(tags))


def new_tracker(par_dir: Path) -> YamlDumper:
    """Return a tracker that is set up."""
    tracker = YamlDumper()
    tracker.setup(TrackerContext(par_dir))
    return tracker


def test_only_what_there_is(tmp_path: Path) -> None:
    """Without extension and summary there are DRYTorch's files and no others."""
    written = write(tmp_path, [start(), model(), actor("Trainer"), metric(1, loss=1), stop()])
    folder = f"{PLACE}/net_{STAMP}"
    assert set(written) == {
        CONFIG,
        f"{folder}/architecture.yaml",
        f"{folder}/Trainer_{STAMP}.yaml",
    }


def test_extensions_and_summary(tmp_path: Path) -> None:
    """The last extension and the summary have files of their own; the configuration stays."""
    happened = [
        start(config={"a": 1}, tags=["t"]),
        extend("t", a=1, b=2),
        extend("t", "u", a=1, b=3),
        stop(best=0.5),
    ]
    written = write(tmp_path, happened)
    assert set(written) == {CONFIG, EXTENDED, SUMMARY}
    assert read_yaml(tmp_path / CONFIG) == {"a": 1}
    assert read_yaml(tmp_path / EXTENDED) == {"config": {"a": 1, "b": 3}, "tags": ["t", "u"]}
    assert read_yaml(tmp_path / SUMMARY) == {"best": 0.5}


def test_each_start_has_its_own(tmp_path: Path) -> None:
    """A late event of the dead process of a resumed run goes to the files of its own start."""
    first = deliver([start(), extend(a=1), stop(best=1)], origin(producer="first"))
    second = deliver([start(run_ts=LATER, resumed=True), stop(best=2)], origin(producer="second"))
    third = deliver([extend(a=3)], origin(producer="a fork of the second"))
    feed(YamlDumper(), [*first[:2], second[0], first[2], *third, second[1]], tmp_path)
    late = "2025-08-02@12h54m21s"
    run = tmp_path / PLACE
    assert {path.name for path in run.iterdir()} == {
        f"{name}_{stamp}.yaml"
        for name in ("config", "extended", "summary")
        for stamp in (STAMP, late)
    }
    assert read_yaml(run / f"summary_{STAMP}.yaml") == {"best": 1}
    assert read_yaml(run / f"summary_{late}.yaml") == {"best": 2}
    assert read_yaml(run / f"extended_{late}.yaml")["config"] == {"a": 3}


def test_no_start_is_known(tmp_path: Path) -> None:
    """Where a journal lost a run's start, what follows is written without its time."""
    assert set(write(tmp_path, [extend(a=1), stop(best=1)])) == {
        f"{PLACE}/extended.yaml",
        f"{PLACE}/summary.yaml",
    }


def test_ranks_apart(tmp_path: Path) -> None:
    """Files of other ranks than 0 have a folder of their own."""
    for rank in (0, 1):
        source = dataclasses.replace(origin(producer=f"p{rank}"), rank=rank)
        feed(YamlDumper(), deliver([start(config=rank), model()], source), tmp_path)
    net = f"net_{STAMP}/architecture.yaml"
    assert set(files(tmp_path, FILES)) == {
        CONFIG,
        f"{PLACE}/{net}",
        f"{PLACE}/rank_1/config_{STAMP}.yaml",
        f"{PLACE}/rank_1/{net}",
    }
    assert read_yaml(tmp_path / CONFIG) == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        ("/absolute", "%2Fabsolute"),
        ("two\nlines\0", "two%0Alines%00"),
        ("%2F", "%252F"),
        ("!!python/object", "!!python%2Fobject"),
        ("模型 é شبكة", "模型 é شبكة"),
    ],
)
def test_names_become_file_names(tmp_path: Path, name: str, file: str) -> None:
    """A name stays inside its folder, whatever it holds."""
    written = write(tmp_path, [start(), model(name), actor(name, name)])
    assert set(written) == {
        CONFIG,
        f"{PLACE}/{file}_{STAMP}/architecture.yaml",
        f"{PLACE}/{file}_{STAMP}/{file}_{STAMP}.yaml",
    }


def test_long_names(tmp_path: Path) -> None:
    """Names of 10,000 characters that differ at the end have files of their own, with a time."""
    long = "模" * 9_999
    happened = [actor(long + end, long + start) for start in "ab" for end in "ab"]
    written = write(tmp_path, happened)
    assert len(written) == 4
    assert all(name.endswith(f"_{STAMP}.yaml") for name in written)


@pytest.mark.parametrize("name", [".", "..", ""])
def test_dots_are_refused(tmp_path: Path, name: str) -> None:
    """A name that would be another folder is refused."""
    tracker = new_tracker(tmp_path)
    for event in (model(name), actor(name), actor("Trainer", name)):
        with pytest.raises(UnsafeNameError, match="cannot name a file"):
            tracker.handle(deliver([event])[0])
    tracker.clean_up()
    assert files(tmp_path, FILES) == {}


# ---- again, elsewhere, and beside others


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_suffix_again(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Handling any suffix of the events again, in any number of workers, changes no byte."""
    once, again = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("again")
    deliveries = deliver(EVENTS)
    feed(YamlDumper(), deliveries, once)
    done = 0
    while done < len(deliveries):
        first = data.draw(st.integers(0, done))
        last = data.draw(st.integers(done + 1, len(deliveries)))
        # a worker that goes on in the middle is first given the run's start
        feed(YamlDumper(), [*deliveries[: min(first, 1)], *deliveries[first:last]], again)
        done = last
    feed(YamlDumper(), deliveries, again)
    assert files(again, FILES) == files(once, FILES)


def test_again_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second replay writes no file at all."""
    happened = [event for event in EVENTS if event != EVENTS[3]]  # its file is replaced later on
    write(tmp_path, happened)
    monkeypatch.setattr("drytorch_trackers.durable.write", lambda *_: pytest.fail("written again"))
    feed(YamlDumper(), deliver(happened), tmp_path)


def test_replay_in_another_time_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named by the training's clock, wherever its events are replayed."""
    encoded = [encode(each.envelope) for each in deliver(EVENTS)]
    folders = []
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        folders.append(tmp_path / zone.rpartition("/")[2])
        again = [Delivery(decode(payload)) for payload in encoded]
        feed(YamlDumper(), again, folders[-1])
    monkeypatch.delenv("TZ")
    time.tzset()
    assert files(folders[0], FILES) == files(folders[1], FILES)
    assert CONFIG in files(folders[0], FILES)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations([0] * 5 + [1] * 5 + [2] * 5))
def test_runs_at_once(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    """Runs of equal names that come interleaved write what each writes alone."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [
        deliver(
            [start(config=n), model(), actor("Trainer", n=n), extend(n=n), stop(n=n)],
            origin(f"{n}" * 32, producer=f"p{n}"),
        )
        for n in range(3)
    ]
    upcoming = [iter(run) for run in runs]
    feed(YamlDumper(), [next(upcoming[n]) for n in order], folder)
    for place, run in enumerate(dict.fromkeys(order)):
        alone = tmp_path_factory.mktemp("alone")
        feed(YamlDumper(), runs[run], alone)
        suffix = f"_{place}" if place else ""
        written = files(folder, f"{PLACE}{suffix}/**/*")
        assert {
            name.replace(f"{PLACE}{suffix}/", f"{PLACE}/"): data for name, data in written.items()
        } == files(alone, FILES)
    assert len(files(folder, FILES)) == 15


@pytest.mark.parametrize("end", [stop(), RunLostEvent(producer="producer", reason="gone")])
def test_one_writer(tmp_path: Path, end: Event) -> None:
    """A second writer of a run's folder is refused until the first has handled the run's end."""
    first, second = new_tracker(tmp_path), new_tracker(tmp_path)
    happened = deliver([start(), end, model()])
    first.handle(happened[0])
    with pytest.raises(FolderTakenError, match="is written by another worker"):
        second.handle(happened[0])
    first.handle(happened[1])
    first.flush()
    second.handle(happened[0])
    second.handle(happened[2])
    second.clean_up()
    first.clean_up()
    assert set(files(tmp_path, FILES)) == {CONFIG, f"{PLACE}/net_{STAMP}/architecture.yaml"}


def test_a_run_beside_one_that_goes_on(tmp_path: Path) -> None:
    """When one of a worker's runs stops, its folder is free, and the other's is not."""
    first, second = new_tracker(tmp_path), new_tracker(tmp_path)
    over = deliver([start(), stop()], origin("1" * 32, "over"))
    open_run = deliver([start(), model()], origin("2" * 32, "open"))
    for delivery in (over[0], open_run[0], over[1]):
        first.handle(delivery)
    first.flush()
    second.handle(over[0])
    with pytest.raises(FolderTakenError):
        second.handle(open_run[0])
    first.clean_up()
    second.handle(open_run[1])
    second.clean_up()


# ---- other people's changes, and a full disk


def test_files_of_others(tmp_path: Path) -> None:
    """A file that somebody changed or removed is written again, one of another name stays."""
    expected = write(tmp_path, EVENTS)
    (tmp_path / CONFIG).write_text("mine: 1\n")
    (tmp_path / EXTENDED).unlink()
    (tmp_path / PLACE / "notes.yaml").write_text("mine: 1\n")
    written = write(tmp_path, EVENTS)
    assert written.pop(f"{PLACE}/notes.yaml") == b"mine: 1\n"
    assert written == expected


def test_folder_vanishes_under_way(tmp_path: Path) -> None:
    """Where the folder is removed during a run, later files are written all the same."""
    tracker = new_tracker(tmp_path)
    one, two = deliver([start(), model()])
    tracker.handle(one)
    (tmp_path / CONFIG).unlink()
    (tmp_path / PLACE).rmdir()
    tracker.handle(two)
    tracker.clean_up()
    assert set(files(tmp_path, FILES)) == {f"{PLACE}/net_{STAMP}/architecture.yaml"}


def test_disk_full_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old file and no half one; when there is room the file is written."""
    expected = write(tmp_path / "calm", [start(), extend(a=1), extend(a=2)])
    tracker = new_tracker(tmp_path / "full")
    one, two, three = deliver([start(), extend(a=1), extend(a=2)])
    tracker.handle(one)
    tracker.handle(two)
    before = files(tmp_path / "full", FILES)

    class Full:
        def torn(self, name: str, file: object, data: bytes) -> None:
            """Take half of a file."""
            del name
            file.write(data[: len(data) // 2])  # type: ignore[attr-defined]  # a file
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tracker, "_failpoints", Full())
        with pytest.raises(OSError, match="No space left"):
            tracker.handle(three)
    assert files(tmp_path / "full", FILES) == before
    tracker.handle(three)
    tracker.clean_up()
    assert files(tmp_path / "full", FILES) == expected


def test_what_is_missing(tmp_path: Path) -> None:
    """What is gone or says something else is told, each event once; comments and style are not."""
    deliveries = deliver(EVENTS)
    tracker = YamlDumper()
    tracker.setup(TrackerContext(tmp_path))
    everything = {each.envelope.seq for each in deliveries}

    def missing() -> set[int]:
        found = tracker.find_missing(deliveries)
        assert not any(each.noted for each in found)
        return {each.delivery.envelope.seq for each in found}

    assert missing() == everything
    write(tmp_path, EVENTS)
    assert missing() == set()
    path = tmp_path / CONFIG
    text = path.read_text()
    first, second = text.splitlines()
    assert first == "lr: 0.1"
    path.write_text(f'# mine\n{second}\n"lr": 1.0e-1\n')
    assert missing() == set()
    path.write_text(text.replace("0.1", "0.2"))
    (tmp_path / EXTENDED).unlink()
    (tmp_path / SUMMARY).write_text("[")
    assert missing() == {1, 6, 8}
    assert tracker.find_missing(deliver([start(), stop()], origin("9" * 32)))[0].delivery.event == (
        start()
    )


# ---- options


def test_own_parent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option `par_dir` wins over the worker's, and travels as an absolute path."""
    monkeypatch.chdir(tmp_path)
    tracker = YamlDumper(Path("own"))
    monkeypatch.chdir("/")  # a script may change its folder before the run starts
    declared = declare(tracker)
    feed(declared.build(lambda _: YamlDumper), deliver([start()]), tmp_path / "workers")
    assert set(files(tmp_path / "own", FILES)) == {CONFIG}
    assert not (tmp_path / "workers").exists()
    assert declare(YamlDumper()).kwargs == {}


def test_without_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML is not installed, the sentence names the package to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    for name in ("yaml_metadata", "yaml_documents", "yaml_format"):
        monkeypatch.delitem(sys.modules, f"drytorch_trackers.{name}", raising=False)
    with pytest.raises(MissingExtraError, match="installed: run pip install 'pyyaml'"):
        registry.load("yaml")
