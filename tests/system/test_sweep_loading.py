"""Loading metrics during a run waits for the worker that writes them, and not for ever."""

from collections.abc import Iterator

import pytest

from hosts import Host
from stepping import Stepping

pytestmark = pytest.mark.system(deadline=60)


@pytest.fixture
def training(host: Host) -> Iterator[Stepping]:
    """Return a training that has loaded once: everything is running."""
    training = Stepping(host)
    training.step("load")
    assert training.loaded()[0] == 10
    yield training
    training.end()


def test_a_loader_waits_for_its_worker(training: Stepping) -> None:
    """What was emitted can be loaded though the worker is held up; one that is frozen costs 5 s."""
    worker = training.worker()
    worker.suspend()
    training.step("load")
    assert training.is_silent()
    worker.resume()
    assert training.loaded()[0] == 20
    worker.suspend()
    training.step("load")
    last, seconds = training.loaded()
    worker.resume()
    assert last == 20
    assert 4.5 < seconds < 8
    training.step("load")
    assert training.loaded()[0] == 40


def test_a_loader_does_not_wait_for_a_broker_that_is_away(training: Stepping, host: Host) -> None:
    """Without a broker it gives what there is after a moment."""
    (broker,) = host.brokers()
    broker.suspend()
    training.step("away load")
    last, seconds = training.loaded()
    broker.resume()
    assert last == 10
    assert seconds < 4.5
