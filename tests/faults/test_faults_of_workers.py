"""Faults of workers (D) that no other test has: real workers, a real broker, and a producer."""

import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from drytorch_client.control import ControlChannel
from drytorch_schemas.control import Fetch, Filter, Records
from drytorch_schemas.endpoint import Endpoint
from drytorch_schemas.packing import unpack
from feeding import Run
from hosts import Host, eventually
from producing import Broker, Producer
from working import CSV, Workers, expected_csv, rows, run_here, spec_of

Maker = Callable[[Run], Producer]

pytestmark = pytest.mark.system(deadline=20)


def test_killed_between_handling_and_commit(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A worker killed after it wrote and before its commit adds nothing twice (D1)."""
    run = Run()
    payloads = run.whole(200)
    producer_of(run).send(payloads)
    spec = spec_of(host, broker.url, "KilledBeforeItsCommit")
    codes = [workers.run(spec)[0] for _ in range(4)]
    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert (tmp_path / "out" / CSV).read_bytes() == expected_csv(host, payloads, tmp_path)


def test_killed_between_handling_and_flush(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """What a tracker handled and had not written when its worker was killed comes again (D1)."""
    run = Run()
    producer_of(run).send(run.whole(200))
    (tmp_path / "out").mkdir()
    spec = spec_of(host, broker.url, "KilledBeforeItsFlush")
    codes = [workers.run(spec)[0] for _ in range(4)]
    assert codes == [-signal.SIGKILL] * 3 + [0]
    written = (tmp_path / "out" / "flushed.txt").read_text().split()
    assert written == [str(epoch) for epoch in range(1, 201)]


def test_a_worker_that_comes_after_its_run(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A worker that starts when its run is over, its producer gone, writes all of it (D4)."""
    run = Run()
    payloads = run.whole(50)
    producer = producer_of(run)
    producer.send(payloads)
    producer.close()
    broker.kill()
    broker.restart()
    assert workers.run(spec_of(host, broker.url, "csv")) == (0, "")
    assert (tmp_path / "out" / CSV).read_bytes() == expected_csv(host, payloads, tmp_path)


def test_the_first_event_of_a_new_topic(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """One event of a run that nobody knew, with nothing after it, reaches a worker (D5)."""
    worker = workers.start(spec_of(host, broker.url, "csv", follow=True))
    eventually(
        lambda: '"attached": true' in listed(host, broker.url), 30, "the worker is at its place"
    )
    for number in range(10):
        run = Run(number, f"r{number}")
        producer_of(run).send([run.metric(1)])
        file = tmp_path / "out" / "csv_metrics" / "Exp" / f"r{number}" / "net" / "Trainer.csv"
        eventually(partial(has_its_row, file), 10, f"the first event of run {number}")
    worker.terminate()
    assert worker.wait(20) == 0


def has_its_row(file: Path) -> bool:
    """Tell whether a table has its header and one row."""
    return rows(file) == 2


def listed(host: Host, url: str) -> str:
    """Return what the broker knows of workers."""
    return host.drytorch("workers", "--json", "--broker", url).stdout


def test_subscriptions_by_globs(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """A glob gives the runs that it names, and two globs that overlap give each event once (D6)."""
    for number in range(1, 13):
        run = Run(number, f"r{number}")
        producer_of(run).send(run.whole(2))
    tracked = host.drytorch(
        "track", "csv", "--broker", broker.url, "--run", "r[12]", "--par-dir", tmp_path
    )
    assert tracked.returncode == 0, tracked.stderr
    written = {path.name for path in (tmp_path / "csv_metrics" / "Exp").iterdir()}
    assert written == {"r1", "r2"}
    filters = [Filter(run_id="r1*"), Filter(run_id="*2"), Filter(run_id="r12")]
    with ControlChannel(Endpoint.from_url(broker.url)) as channel:
        answer = channel.request(Fetch(start=0, filters=filters), 10)
    assert isinstance(answer, Records)
    offsets = [offset for offset, _ in answer.records]
    assert offsets == sorted(set(offsets))
    events = [unpack(payload)["run_id"] for _, payload in answer.records]
    assert sorted(events) == sorted(["r1", "r10", "r11", "r12", "r2"] * 5)


def test_a_tracker_that_leaks(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A tracker that takes all memory it may have ends its own worker; another's is whole (D9)."""
    run = Run()
    payloads = run.whole(12)
    producer_of(run).send(payloads)
    leaking = workers.start(spec_of(host, broker.url, "Leaking", name="leaking", owed=""))
    assert workers.run(spec_of(host, broker.url, "csv")) == (0, "")
    assert (tmp_path / "out" / CSV).read_bytes() == expected_csv(host, payloads, tmp_path)
    leaking.communicate(timeout=60)
    assert leaking.returncode != 0
    assert "MemoryError" in listed(host, broker.url) or leaking.returncode < 0


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_tracker_that_prints_a_gigabyte(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A gigabyte of output leaves a log of bounded size, and the worker does its work (D9)."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(1000)
    producer.send(payloads)
    spec = spec_of(host, broker.url, "Flooding", "csv")
    assert workers.run(spec, seconds=200)[0] == 0
    assert (tmp_path / "out" / CSV).read_bytes() == expected_csv(host, payloads, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.glob("worker.log*")) < 50_000_000


@pytest.mark.soak
def test_ten_thousand_dead_letters(host: Host, broker: Broker, producer_of: Maker) -> None:
    """Ten thousand dead letters are kept and counted, and the cursor goes past them (D10)."""
    run = Run()
    producer = producer_of(run)
    producer.send([run.start()])
    epochs = range(1, 10_721)
    for first in range(0, len(epochs), 1000):
        producer.send([run.metric(epoch) for epoch in epochs[first : first + 1000]])
    producer.send([run.stop()])
    said: list[str] = []
    code, done = run_here(spec_of(host, broker.url, "Picky"), said)
    assert (code, done, len(said)) == (73, True, 1)
    (worker,) = json.loads(listed(host, broker.url))
    assert (worker["dead"], worker["lag"]) == (10_006, 0)
    dead = host.drytorch("workers", "--dead", "worker", "--json", "--broker", broker.url)
    letters = json.loads(dead.stdout)
    assert len(letters) == 10_000  # the latest; `docs/reference/limits.md` says so
    assert letters[-1]["offset"] == 10_721


@pytest.mark.soak
@pytest.mark.timeout(500)
@pytest.mark.system(deadline=120)
def test_a_hundred_workers(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A hundred workers of one broker each get every event, and the broker stays small (D19)."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(1000)
    producer.send(payloads[:500])
    started = [
        workers.start(
            spec_of(
                host,
                broker.url,
                "csv",
                name=f"w{number}",
                par_dir=str(tmp_path / f"w{number}"),
                log_file=str(tmp_path / f"w{number}.log"),
                owed="",
            )
        )
        for number in range(100)
    ]
    producer.send(payloads[500:])
    for each in started:
        _, err = each.communicate(timeout=300)
        assert (each.returncode, err) == (0, b"")
    expected = expected_csv(host, payloads, tmp_path)
    for number in range(100):
        assert (tmp_path / f"w{number}" / CSV).read_bytes() == expected
    assert psutil.Process(broker.pid).memory_info().rss < 150 << 20
