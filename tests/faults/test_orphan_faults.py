"""Spools of dead producers (B): adopted by several at once, torn, old, and before the last word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dead_spools import leave_a_spool
from drytorch_broker.adoption import Adopter
from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.lost import LostRuns
from drytorch_broker.state import State, open_state
from drytorch_client import orphans
from drytorch_schemas import records, spool_files
from drytorch_schemas.control import Hello
from drytorch_schemas.endpoint import Endpoint, read_endpoint
from drytorch_schemas.folders import spool_dir
from drytorch_schemas.frames import UplinkHeader, array_of
from drytorch_schemas.packing import unpack
from drytorch_schemas.record_stream import Record
from drytorch_schemas.upgrade import FILES
from emitting import numbers, run, start
from feeding import Run
from hosts import BIN, Host, eventually
from producing import TOKEN


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """Return the state of a broker without sockets, at time 0."""
    made = open_state(BrokerConfig(tmp_path), 0.0)
    yield made
    made.close()


def endpoint(state: State) -> Endpoint:
    """Return where that broker would listen."""
    return Endpoint.from_url(f"ipc://{state.config.journal}")


def kinds(state: State) -> list[str]:
    """Return the kinds of all envelopes in the journal."""
    found = state.log.read(0, state.log.durable, None, 1 << 30, 10**6).records
    return [unpack(payload)["kind"] for _, payload in found]


def test_run_is_lost_only_after_what_its_producer_left(state: State) -> None:
    """What a dead producer left is delivered before its run is called lost: workers leave then."""
    dead = Run()
    start_of_run, *rest = dead.whole(3)[:-1]
    committer, adopter = Committer(state), Adopter(state, endpoint(state))
    lost = LostRuns(state, committer, 0.0)
    adopter.look()  # as it is: the next look comes seconds later
    hello = Hello(
        producer=dead.origin.producer, token=TOKEN, host=state.host, pid=0, oldest=1, next=1
    )
    state.inlet.on_hello(hello, 1.0)
    header = UplinkHeader(False, dead.origin.producer, TOKEN, 1, 1)  # noqa: FBT003 - durable
    state.inlet.on_batch(header, array_of([start_of_run]), 1.0)
    committer.commit(1.0)
    leave_a_spool(dead, [start_of_run, *rest], journal=str(state.config.journal))
    for now in range(2, 10):
        lost.look(float(now), adopter.expects)
        committer.commit(float(now))
        adopter.step(float(now))
        committer.commit(float(now))
    assert kinds(state) == [
        *["StartExperiment", "ActorRegistration", "Metric", "Metric", "Metric", "RunLost"]
    ]


@pytest.mark.parametrize("who", ["next client", "broker", "sync", "all at once"])
def test_orphan_is_delivered_once(host: Host, tmp_path: Path, who: str) -> None:
    """The next client, the broker and `drytorch sync`, alone or at once, deliver it once (B8)."""
    # a broker that sees this host's spools, and one that does not, at the same address
    elsewhere = {"XDG_STATE_HOME": str(tmp_path / "elsewhere")}
    sees = {} if who in {"broker", "all at once"} else elsewhere
    command: list[str | Path] = [BIN / "drytorch-broker", "start", "--journal", tmp_path / "j"]
    first = host.start(*command, "--listen", "tcp://127.0.0.1:0", **elsewhere)
    url = eventually(lambda: read_endpoint(tmp_path / "j"), 20, "the endpoint").url
    first.kill()
    host.finish(first)
    for base in (0, 1000, 2000):
        code = f"for number in range({base}, {base + 500}): emit(number)"
        assert "500 events wait" in run(host, code, broker=url, away_wait=0.3).stderr
    started = [host.start(*command, "--listen", url, **sees)]
    if who in {"next client", "all at once"}:
        code = "emit(9000); sender.flush(20); time.sleep(1)"
        started.append(start(host, code, broker=url, away_wait=5.0))
    if who in {"sync", "all at once"}:
        started += [host.start(BIN / "drytorch", "sync") for _ in range(2)]
    eventually(lambda: len(list(spool_dir().iterdir())) == 0, 30, "nothing is left")
    for process in started[1:]:
        assert host.finish(process).returncode == 0
    started[0].terminate()
    host.finish(started[0])
    found = numbers(tmp_path / "j")
    for base in (0, 1000, 2000):
        assert [each for each in found if each // 1000 * 1000 == base] == list(
            range(base, base + 500)
        )
    assert len(found) == 1500 + (who in {"next client", "all at once"})


def test_spool_of_an_older_version(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool of an older format version is upgraded, and delivered by broker and client (B10)."""

    def upgraded(record: Record) -> Record:
        payload = record.payload.removeprefix(b"old")
        return Record(record.kind, record.offset, payload, record.position, record.size)

    monkeypatch.setattr(FILES, "_steps", {(records.SPOOL, 0): upgraded})
    dead = Run()
    payloads = dead.whole(3)
    folder = leave_a_spool(dead, payloads, journal=str(state.config.journal))
    header = records.Header(records.SPOOL, dead.origin.producer, 1, 5, 1, version=0)
    old = records.encode_record(records.BATCH, 1, b"old" + array_of(payloads), 5)
    (file,) = spool_files.spool_segments(folder)
    file.write_bytes(records.encode_header(header) + old)
    assert orphans.AdoptedSpool(folder).read(1)[0].body == array_of(payloads)
    committer, adopter = Committer(state), Adopter(state, endpoint(state))
    adopter.look()
    for now in range(10):
        adopter.step(float(now))
        committer.commit(float(now))
    assert kinds(state)[-1] == "StopExperiment"
    assert len(kinds(state)) == len(payloads)
    assert not folder.exists()
