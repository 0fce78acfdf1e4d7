"""Trackers that share a worker: one's fault never shows in another's artefacts."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from drytorch_client.declarations import Declaration
from drytorch_client.workers import owed
from drytorch_client.workers.spec import SPLIT_CODE, WorkerSpec
from drytorch_schemas.locations import owed_dir
from drytorch_trackers import hosting, worker
from drytorch_trackers.base import Delivery
from drytorch_trackers.engine import Engine
from drytorch_trackers.hosted import HostedTracker, Policy
from drytorch_trackers.sharing import Sharing
from feeding import Clock, MemoryJournal, Recorder, Run
from hosts import Host, eventually
from journal_making import write_journal
from producing import Broker, Producer
from working import CSV, Workers, rows, spec_of

Maker = Callable[[Run], Producer]
QUICK = Policy(delays=(0.0,), delays_in_a_row=(0.0,), wait_for_folder=True)


class Raising(Recorder):
    """Raises from an offset on, or at each flush."""

    def __init__(self, since: int = 0, *, flushes: bool = True) -> None:
        super().__init__()
        self.since, self.flushes = since, flushes

    def handle(self, delivery: Delivery) -> None:
        """Raise where that is wanted."""
        if delivery.offset >= self.since:
            raise RuntimeError(f"no {delivery.offset}")
        super().handle(delivery)

    def flush(self) -> None:
        """Raise where that is wanted."""
        if not self.flushes:
            raise RuntimeError("no flush")
        super().flush()


class SentOff:
    """Notes who is sent off, and what was kept by then."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.seen: list[tuple[str, int, int, int]] = []

    def __call__(self, hosted: HostedTracker) -> None:
        """Note it."""
        journal = self.journal
        self.seen.append((hosted.name, hosted.goes_on_at, len(journal.letters), journal.cursor))


def shared_engine(*trackers: Recorder, journal: MemoryJournal) -> tuple[Engine, SentOff]:
    """Return an engine that sends off those who are stopped."""
    named = {f"t{number}": tracker for number, tracker in enumerate(trackers)}
    sent = SentOff(journal)
    return Engine(named, journal, policy=QUICK, pace=Clock().pace(), send_off=sent), sent


def test_who_fails_is_sent_off_where_it_stopped() -> None:
    """It goes on behind its dead letters, which are put aside before; the others see all."""
    journal = MemoryJournal(Run().whole(60))
    bad, good = Raising(5), Recorder()
    engine, sent = shared_engine(bad, good, journal=journal)
    for offset, payload in enumerate(journal.payloads):
        engine.handle(offset, payload)
    engine.commit(len(journal.payloads))
    assert sent.seen == [("t0", 25, 20, 0)]
    assert good.offsets() == list(range(63))
    assert [each.name for each in engine.hosted] == ["t1"]
    assert journal.cursor == 63
    assert bad.calls == ["flush", "clean_up"]
    assert engine.failures == 21  # also those of who is gone
    assert engine.last_error.startswith("t0: RuntimeError")


def test_who_cannot_flush_goes_on_at_the_last_commit() -> None:
    """What was handled since the last commit is not safe: it comes again, and is no dead letter."""
    journal = MemoryJournal(Run().whole(5))
    bad, good = Raising(99), Recorder()
    engine, sent = shared_engine(bad, good, journal=journal)
    for offset, payload in enumerate(journal.payloads[:3]):
        engine.handle(offset, payload)
    engine.commit(3)
    bad.flushes = False
    engine.handle(3, journal.payloads[3])
    engine.commit(4)
    assert sent.seen == [("t0", 0, 0, 3)]
    assert (journal.cursor, journal.letters) == (4, [])
    assert bad.calls == ["flush"]  # it is not called any more


def test_the_last_one_is_sent_off_too() -> None:
    """Where nobody is left the engine says so."""
    journal = MemoryJournal(Run().whole(60))
    engine, sent = shared_engine(Raising(), Raising(10), journal=journal)
    for offset, payload in enumerate(journal.payloads):
        engine.handle(offset, payload)
    engine.commit(63)
    assert [seen[:2] for seen in sent.seen] == [("t0", 20), ("t1", 30)]
    assert not engine.alive
    assert engine.hosted == []


# ---- with a real broker


def shared_spec(host: Host, url: str, *targets: str, **changes: object) -> WorkerSpec:
    """Return the description of a worker whose trackers can go on apart."""
    spec = spec_of(host, url, "csv", *targets, splits=True, **changes)
    yaml = Declaration(name="yaml", target="yaml")
    return spec.model_copy(update={"declarations": [*spec.declarations, yaml]})


def run_here(spec: WorkerSpec) -> int:
    """Run a worker in this process, where failing trackers are not waited for."""
    owed.put(spec)
    silent = hosting.Notices(note=lambda _text: None, warn=lambda _text: None)
    host = hosting.Host(leaving=threading.Event(), notices=silent, policy=QUICK)
    sharing = Sharing(spec)
    assert not sharing.begin()
    return worker._work(sharing, host, owed.claim(spec))


def artefacts(folder: Path) -> dict[str, bytes]:
    """Return all files that users see, by path."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in files
        if ".drytorch" not in file.parts
    }


def expected(host: Host, payloads: list[bytes], tmp_path: Path) -> dict[str, bytes]:
    """Return what an undisturbed replay of the same events writes."""
    paths = write_journal(tmp_path / "reference", payloads)
    out = tmp_path / "expected"
    replayed = host.drytorch("replay", *paths, "--to", "csv", "--to", "yaml", "--par-dir", out)
    assert replayed.returncode == 0, replayed.stderr
    return artefacts(out)


def kept(host: Host, broker: Broker) -> dict[str, dict[str, object]]:
    """Return the workers that the broker knows, by name."""
    listed = host.drytorch("workers", "--json", "--broker", broker.url).stdout
    return {each["name"]: each for each in json.loads(listed)}


@pytest.mark.system(deadline=20)
def test_one_that_raises_always(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """The other's files are whole although the training is gone, and `sync` mends the first."""
    run = Run()
    payloads = run.whole(60)
    producer_of(run).send(payloads)
    out = tmp_path / "out"
    out.mkdir()
    (out / "csv_metrics").write_text("in the way")
    spec = shared_spec(host, broker.url)
    assert run_here(spec) == 73
    whole = expected(host, payloads, tmp_path)
    described = {path: data for path, data in whole.items() if path.startswith("metadata")}
    assert described.items() <= artefacts(out).items()
    assert [each.spec.name for each in owed.pending()] == ["worker-csv"]
    assert next(owed.pending()).stopped.startswith("a tracker stopped with errors: 20 events")
    # behind a note of the broker, the context and twenty dead letters
    assert kept(host, broker)["worker-csv"]["cursor"] == 1 + 2 + 20
    (out / "csv_metrics").unlink()
    synced = host.drytorch("sync")
    assert synced.returncode == 0, synced.stderr
    assert rows(out / CSV) == 1 + 60 - 20  # what was put aside is for `replay`
    assert list(owed_dir().iterdir()) == []


def wait_for_rows(csv: Path, count: int) -> None:
    """Wait until a file has more lines than that."""
    eventually(lambda: rows(csv) > count, 20, "some rows")


@pytest.mark.system(deadline=20)
def test_a_process_that_dies_twice_is_split(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """Its trackers go on where its cursor was: nothing is lost, nothing comes twice."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(400)
    spec = shared_spec(host, broker.url)
    csv = tmp_path / "out" / CSV
    for part in (payloads[:100], payloads[100:200]):
        producer.send(part)
        dying = workers.start(spec)
        wait_for_rows(csv, rows(csv) + 20)
        dying.kill()
        dying.communicate()
    producer.send(payloads[200:])
    splitting = workers.start(spec)
    _, err = splitting.communicate(timeout=30)
    assert splitting.returncode == SPLIT_CODE
    assert err.decode().splitlines() == [
        "drytorch worker worker: died twice: each of its trackers goes on in a worker of its own"
    ]
    cursors = {name: each["cursor"] for name, each in kept(host, broker).items()}
    assert set(cursors) == {"worker-csv", "worker-yaml"}
    assert len(set(cursors.values())) == 1
    assert {each.spec.name for each in owed.pending()} == set(cursors)
    synced = host.drytorch("sync")
    assert (synced.returncode, synced.stderr) == (0, "")
    assert artefacts(tmp_path / "out") == expected(host, payloads, tmp_path)
    assert kept(host, broker) == {}
    assert list(owed_dir().iterdir()) == []


@pytest.mark.system(deadline=20)
def test_one_that_hangs_takes_nobody_along(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker
) -> None:
    """A shared worker leaves, to be started again, when one hangs, though its run goes on."""
    run = Run()
    producer_of(run).send(run.whole(5)[:-1])
    worker = workers.start(shared_spec(host, broker.url, "Sleeping", stuck_exit_s=1.0))
    _, err = worker.communicate(timeout=30)
    assert worker.returncode == 69
    assert b"holds up the others" in err
    assert next(owed.pending()).starts == 1
