"""Journals of ten million events and of four gigabytes: starts, fetches and memory."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import big_journal
from drytorch_schemas.control import Filter
from hosts import eventually
from raw_broker import Client, Daemon
from uplinks import seqs

EVENTS = 10_000_000
#: Goals: seconds until a broker serves, seconds of a fetch in the median, bytes of memory.
START, FETCH, MEMORY = 2.0, 0.005, 150 << 20

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that takes gigabytes, and goes afterwards whatever happens."""
    with tempfile.TemporaryDirectory(prefix="dt-big-") as name:
        yield Path(name)


def started(folder: Path, figures: dict[str, float], what: str) -> Daemon:
    """Start a broker, and note how long that took."""
    begin = time.perf_counter()
    broker = Daemon(folder)
    figures[f"{what}, s"] = time.perf_counter() - begin
    return broker


def fetch_from_the_middle(client: Client, head: int, **fields: object) -> float:
    """Return the median time of fetches of a hundred records from random offsets, seconds."""
    chance, times = random.Random(1), []
    for _ in range(101):
        offset = chance.randrange(head - 100_000)
        begin = time.perf_counter()
        answer = client.fetch(offset, max_records=100, **fields)
        times.append(time.perf_counter() - begin)
        assert len(answer.records) == 100
        assert answer.records[0][0] >= offset
    return statistics.median(times)


def test_ten_million_events(folder: Path) -> None:
    """A killed broker with ten million events is back, small and quick, within seconds (C19)."""
    figures: dict[str, float] = {}
    head = big_journal.write(folder, EVENTS, 0.95)
    for number in range(3):  # other programs may get in the way once
        with started(folder, figures, f"start {number} after a kill") as broker:
            if number == 0:
                measure(broker, head, figures)
            broker.kill()
    print(figures)  # noqa: T201  # what a soak is run for
    assert min(value for name, value in figures.items() if name.startswith("start")) < START
    assert max(figures["fetch, s"], figures["fetch of one run, s"]) < FETCH
    assert figures["memory, bytes"] < MEMORY


def measure(broker: Daemon, head: int, figures: dict[str, float]) -> None:
    """Fetch from everywhere."""
    with Client(broker.url) as client:
        assert client.fetch(head - 1).head == head
        figures["fetch, s"] = fetch_from_the_middle(client, head)
        one = [Filter(run_id="r7")]
        figures["fetch of one run, s"] = fetch_from_the_middle(client, head, filters=one)
    figures["memory, bytes"] = psutil.Process(broker.process.pid).memory_info().rss


def test_the_ends_of_four_gigabytes_while_they_grow(folder: Path) -> None:
    """Both ends of a journal of 4 GiB are served quickly while events are appended to it (C20)."""
    count = (4 << 30) // 290
    head = big_journal.write(folder, count, 0.5)
    assert sum(path.stat().st_size for path in folder.glob("*.msgpack")) > 4 << 30
    times: dict[str, list[float]] = {"beginning": [], "end": []}
    with Daemon(folder) as broker, Client(broker.url) as client:
        client.welcome()
        for first in range(1, 20_001, 100):
            client.publish(first, 100)
            if first % 1000 == 1:
                durable = client.acknowledged(first + 99, 30).durable
                assert durable >= first + 99
            for name, offset in (("beginning", 0), ("end", head)):
                begin = time.perf_counter()
                answer = client.fetch(offset, max_records=100)
                times[name].append(time.perf_counter() - begin)
                assert answer.records
        memory = psutil.Process(broker.process.pid).memory_info().rss
        eventually(lambda: client.probe(20_000).durable == 20_000, 30, "all is acknowledged")
        found, offset = [], head
        while offset < answer.head:
            answer = client.fetch(offset)
            found += seqs(answer.records)
            offset = answer.covered_to
    assert found == list(range(1, 20_001))
    print({name: statistics.median(each) for name, each in times.items()}, memory)  # noqa: T201  # as above
    assert all(statistics.median(each) < FETCH for each in times.values())
    assert memory < MEMORY
