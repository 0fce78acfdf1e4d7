"""Fixtures: a host of its own, a broker, workers and producers, that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeding import Run
from hosts import Host
from producing import Broker, Producer
from working import Workers


@pytest.fixture
def host(tmp_path: Path, no_process_left_behind: None) -> Iterator[Host]:  # noqa: ARG001 - it looks last
    """Return a host whose processes end with the test."""
    host = Host(tmp_path)
    yield host
    host.stop()


@pytest.fixture
def broker(host: Host, isolated_environment: Path) -> Iterator[Broker]:
    """Return a running broker."""
    broker = Broker(host, isolated_environment / "journal")
    yield broker
    broker.close()


@pytest.fixture
def workers(host: Host) -> Iterator[Workers]:
    """Return a starter of workers that end with the test."""
    workers = Workers(host)
    yield workers
    workers.close()


@pytest.fixture
def producer_of(broker: Broker) -> Iterator[Callable[[Run], Producer]]:
    """Return a maker of producers whose sockets are closed with the test."""
    made: list[Producer] = []

    def make(run: Run) -> Producer:
        made.append(Producer(broker.url, run))
        return made[-1]

    yield make
    for producer in made:
        producer.close()
