"""What dead producers of this host left, and runs that end without a word."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drytorch_broker.adoption import Adopter
from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.lost import LostRuns
from drytorch_broker.state import State, open_state
from drytorch_schemas import control, locations, records, spool_files
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.locks import FileLock
from drytorch_schemas.packing import unpack
from raw_broker import Client, Daemon
from uplinks import PRODUCER, TOKEN, batch, hello

HERE = Endpoint.from_url("tcp://127.0.0.1:7750")
HOLDER = """
import sys
from pathlib import Path
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.locks import FileLock
assert FileLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def spool(journal: Path, batches: list[tuple[int, int]], *, broker: str = "", **kinds: str) -> Path:
    """Leave a spool as a dead producer does."""
    folder = spool_files.spool_folder(locations.spool_dir(), PRODUCER)
    locations.private_folder(locations.spool_dir())
    meta = spool_files.SpoolMeta(
        producer=PRODUCER,
        token=TOKEN,
        broker=broker,
        journal="" if broker else str(journal),
        host="host",
        pid=1,
    )
    spool_files.write_meta(folder, meta)
    spool_files.lock_path(folder).touch()
    for first, count in batches:
        header = records.Header(records.SPOOL, PRODUCER, first)
        body = batch(first, count, kind=kinds.get(f"kind{first}", "Metric"))[1]
        data = records.encode_record(records.BATCH, first, body, header.salt)
        path = folder / spool_files.segment_name(first)
        path.write_bytes(records.encode_header(header) + data)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """Return the state of a broker without sockets, at time 0."""
    made = open_state(BrokerConfig(tmp_path), 0.0)
    yield made
    made.close()


def envelopes(state: State) -> list[dict[str, Any]]:
    """Return all envelopes in the journal."""
    found = state.log.read(0, state.log.durable, None, 1 << 30, 10**6).records
    return [unpack(payload) for _, payload in found]


def numbers(state: State) -> list[int]:
    """Return the sequence numbers of the producer in the journal."""
    return [wire["seq"] for wire in envelopes(state) if wire["producer"] == PRODUCER]


def adopt(state: State, endpoint: Endpoint = HERE) -> Adopter:
    """Look for orphans and deliver them, as the broker's loop does."""
    adopter, committer = Adopter(state, endpoint), Committer(state)
    adopter.look()
    for now in range(1, 100):
        if adopter.busy:
            adopter.step(float(now))
            committer.commit(float(now))
    return adopter


def test_an_orphan_is_delivered_and_removed(tmp_path: Path) -> None:
    """A broker delivers what a dead producer left, once, under its id: the run is lost (B8)."""
    journal = tmp_path / "journal"
    with Daemon(journal) as broker, Client(broker.url) as client:
        client.welcome(host="host")
        client.publish(1, kind="StartExperiment")
        client.acknowledged(1)
        folder = spool(journal, [(1, 3), (4, 2)], kind1="StartExperiment")
        end = time.monotonic() + 15
        while broker.ask("runs")[0]["status"] != "lost":
            assert time.monotonic() < end
            time.sleep(0.05)
        found = [unpack(payload) for _, payload in client.fetch().records]
        assert [wire["seq"] for wire in found[:-1]] == [1, 2, 3, 4, 5]
        assert found[-1]["kind"] == "RunLost"
        assert not folder.exists()


def test_a_run_that_ends_in_its_spool_is_not_lost(state: State, tmp_path: Path) -> None:
    """A run whose StopExperiment lies in the spool is completed, also with the spool half read."""
    spool(tmp_path, [(1, 1), (2, 3), (5, 1)], kind1="StartExperiment", kind5="StopExperiment")
    adopter = adopt(state)
    runs = Runs(state)
    assert runs.look(1000.0) == "completed"
    assert not adopter.busy


def test_a_living_owner_keeps_its_spool(state: State, tmp_path: Path) -> None:
    """A spool whose owner lives is left alone, and delivered as soon as the owner is dead."""
    folder = spool(tmp_path, [(1, 3)])
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(spool_files.lock_path(folder))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    owner.stdout.readline()
    assert not adopt(state).busy
    assert state.log.head == 0
    owner.kill()
    owner.communicate()
    adopt(state)
    assert numbers(state) == [1, 2, 3]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("broker", "ours"),
    [
        ("tcp://127.0.0.1:7750", True),
        ("tcp://localhost:7750", True),
        ("tcp://127.0.0.1:7751", False),
        ("ipc:///somewhere", False),
    ],
)
def test_a_spool_names_its_broker(state: State, tmp_path: Path, broker: str, *, ours: bool) -> None:
    """A spool for this broker's URL is delivered, one for another broker never."""
    folder = spool(tmp_path / "elsewhere", [(1, 3)], broker=broker)
    adopt(state)
    assert (state.log.head > 0, folder.exists()) == (ours, not ours)


def test_a_torn_and_damaged_spool(state: State, tmp_path: Path) -> None:
    """Of a spool with damage everything readable is delivered (B9)."""
    folder = spool(tmp_path, [(1, 2), (3, 2), (5, 2)])
    middle = folder / spool_files.segment_name(3)
    data = bytearray(middle.read_bytes())
    data[-3] ^= 1
    middle.write_bytes(data)
    last = folder / spool_files.segment_name(5)
    with last.open("ab") as file:
        file.write(b"\x95\x03\xcf\x00")
    adopt(state)
    assert numbers(state) == [1, 2, 5, 6]
    assert not folder.exists()


def test_a_spool_with_a_wrong_token(state: State, tmp_path: Path) -> None:
    """A spool that does not know the producer's token is not delivered, and stays."""
    state.inlet.on_hello(hello(token=b"the-real-token--"), 0.0)
    folder = spool(tmp_path, [(1, 3)])
    assert not adopt(state).busy
    assert state.log.head == 0
    assert folder.exists()


@pytest.mark.parametrize("harm", [b"", b"\xc1", b"\x80"])
def test_a_spool_without_a_readable_owner(state: State, tmp_path: Path, harm: bytes) -> None:
    """A spool whose meta file is damaged stays, and hurts nobody."""
    folder = spool(tmp_path, [(1, 3)])
    (folder / spool_files.META_FILE).write_bytes(harm)
    assert not adopt(state).busy
    assert folder.exists()


def test_an_empty_spool_is_removed(state: State, tmp_path: Path) -> None:
    """A spool in which everything was acknowledged is removed."""
    folder = spool(tmp_path, [])
    adopt(state)
    assert not folder.exists()


def test_a_full_disk_during_adoption(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spool that the journal cannot take is kept, and delivered when it can."""
    folder = spool(tmp_path, [(1, 3), (4, 3)])
    adopter, committer = Adopter(state, HERE), Committer(state)
    adopter.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        for now in (1.0, 1.1, 1.2):
            adopter.step(now)
            committer.commit(now)
    assert state.failing
    assert folder.exists()
    committer.try_again(9.0)
    for now in (10.0, 11.0, 12.0, 13.0):
        adopter.step(now)
        committer.commit(now)
    assert numbers(state) == [1, 2, 3, 4, 5, 6]
    assert not folder.exists()


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class Runs:
    """One run, and somebody who looks after it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.committer = Committer(state)
        self.lost = LostRuns(state, self.committer, 0.0)
        self.seq = 0

    def put(self, kind: str, now: float, **options: Any) -> None:
        """Let the producer report something."""
        self.seq += 1
        verdict = self.state.inlet.on_batch(*batch(self.seq, kind=kind, **options), now)
        assert verdict.outcome.value == "appended"
        self.committer.commit(now)

    def look(self, now: float) -> str:
        """Look after runs, and return the run's status."""
        self.lost.look(now, lambda _producer: False)
        self.committer.commit(now)
        (info,) = self.state.runs.by_uuid.values()
        return info.status


def test_a_silent_remote_producer_is_lost_and_found(state: State) -> None:
    """A remote producer is lost after a minute of silence, once, and found at its next hello."""
    runs = Runs(state)
    state.inlet.on_hello(hello(), 1.0)
    runs.put("StartExperiment", 2.0)
    assert runs.look(61.0) == "running"
    assert runs.look(63.0) == "lost"
    head = state.log.durable
    assert runs.look(64.0) == "lost"
    assert state.log.durable == head
    state.inlet.on_hello(hello(2, 2), 70.0)
    assert runs.look(70.0) == "running"
    runs.put("StopExperiment", 71.0)
    assert runs.look(500.0) == "completed"
    found = envelopes(state)
    assert [each["kind"] for each in found] == [
        *("StartExperiment", "RunLost", "RunFound", "StopExperiment")
    ]
    note = found[1]
    assert (note["producer"], note["seq"]) == (f"broker-{state.log.journal_id[:16]}", 3)
    assert note["event"]["producer"] == PRODUCER


def test_a_ping_keeps_a_run_alive(state: State) -> None:
    """Probes are signs of life."""
    runs = Runs(state)
    state.inlet.on_hello(hello(), 1.0)
    runs.put("StartExperiment", 2.0)
    for now in range(10, 300, 50):
        probe = control.Probe(producer=PRODUCER, token=TOKEN, last=1, oldest=2)
        state.inlet.on_probe(probe, float(now))
        assert runs.look(now + 20.0) == "running"


def test_a_goodbye_without_a_stop(state: State) -> None:
    """A producer that leaves in good order without stopping its run leaves no run open."""
    runs = Runs(state)
    state.inlet.on_hello(hello(), 1.0)
    runs.put("StartExperiment", 2.0)
    state.inlet.on_bye(control.Bye(producer=PRODUCER, token=TOKEN, last=1), 3.0)
    assert runs.look(4.0) == "lost"
    assert runs.look(400.0) == "lost"


def test_a_resumed_run_is_its_new_producers(state: State) -> None:
    """A run that another producer resumed is not lost with the first."""
    runs = Runs(state)
    other = "c" * 32
    state.inlet.on_hello(hello(), 1.0)
    runs.put("StartExperiment", 2.0)
    assert runs.look(100.0) == "lost"
    state.inlet.on_hello(hello(producer=other), 101.0)
    runs.seq = 0
    runs.put("StartExperiment", 102.0, producer=other)
    assert runs.look(103.0) == "running"
    assert runs.look(150.0) == "running"
    assert runs.look(170.0) == "lost"


def test_the_lock_of_the_spool_tells_a_local_producers_life(state: State, tmp_path: Path) -> None:
    """A producer of this host lives as long as somebody holds its spool's lock, however silent."""
    runs = Runs(state)
    folder = spool(tmp_path, [])
    state.inlet.on_hello(hello(host=state.host, pid=2**22 + 1), 1.0)
    runs.put("StartExperiment", 2.0)
    lock = FileLock(spool_files.lock_path(folder))
    assert lock.acquire()
    assert runs.look(1000.0) == "running"
    lock.release()
    assert runs.look(1001.0) == "lost"


def test_a_broker_killed_between_a_spools_end_and_its_runs(state: State, tmp_path: Path) -> None:
    """A run whose spool is gone is lost before a broker that was started again leaves as idle."""
    runs = Runs(state)
    state.inlet.on_hello(hello(host=state.host, pid=2**22 + 1), 1.0)
    runs.put("StartExperiment", 2.0)
    state.save_snapshot()
    again = open_state(BrokerConfig(tmp_path), 1000.0)
    later = Runs(again)
    assert later.look(1010.0) == "running"
    assert later.look(1016.0) == "lost"
    again.log.close()


def test_a_run_survives_a_restart_of_the_broker(state: State, tmp_path: Path) -> None:
    """Who owns a run, and that it is open or lost, is known after a restart."""
    runs = Runs(state)
    state.inlet.on_hello(hello(), 1.0)
    runs.put("StartExperiment", 2.0)
    state.save_snapshot()
    again = open_state(BrokerConfig(tmp_path), 1000.0)
    later = Runs(again)
    assert later.look(1050.0) == "running"
    assert later.look(1061.0) == "lost"
    again.log.close()
    third = open_state(BrokerConfig(tmp_path), 2000.0)
    last = Runs(third)
    last.lost = LostRuns(third, last.committer, 2000.0)
    assert last.look(2100.0) == "lost"
    third.inlet.on_hello(hello(2, 2), 2101.0)
    assert last.look(2101.0) == "running"
    third.log.close()
