"""The control channel: answers by number, time limits, and brokers that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from drytorch_client.control import ControlChannel
from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.endpoint import Endpoint

Answerer = Callable[[control.AnyMessage], list[control.Message]]


class FakeBroker:
    """Answers requests in a thread, with whatever the test wants."""

    def __init__(self, folder: Path, answers: Answerer) -> None:
        self.endpoint = Endpoint.from_url(f"ipc://{folder}")
        self._answers = answers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
            socket.linger = 0
            socket.bind(self.endpoint.control)
            while not self._stop.is_set():
                if socket.poll(10):
                    peer, data = socket.recv_multipart()
                    for answer in self._answers(control.decode(data)):
                        socket.send_multipart([peer, control.encode(answer)])

    def stop(self) -> None:
        """Go away."""
        self._stop.set()
        self._thread.join()


@pytest.fixture
def broker(isolated_environment: Path) -> Iterator[Callable[[Answerer], FakeBroker]]:
    """Return a function that starts fake brokers, which end with the test."""
    started: list[FakeBroker] = []

    def start(answers: Answerer) -> FakeBroker:
        started.append(FakeBroker(isolated_environment, answers))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def status(message: control.AnyMessage) -> list[control.Message]:
    """Answer as a broker does."""
    return [control.Answer(id=message.id, data={"asked": message.id})]


def test_answers_belong_to_requests(broker: Callable[[Answerer], FakeBroker]) -> None:
    """Late answers of earlier requests, and what nobody asked for, are passed over."""

    def late_too(message: control.AnyMessage) -> list[control.Message]:
        before = control.Answer(id=message.id - 1, data="late")
        return [before, control.Nak(producer="p", first=1, last=2), *status(message)]

    with ControlChannel(broker(late_too).endpoint) as channel:
        for number in (1, 2, 3):
            answer = channel.request(control.Ask(what="status"), 10)
            assert isinstance(answer, control.Answer)
            assert answer.data == {"asked": number}


def test_refusal_is_an_answer(broker: Callable[[Answerer], FakeBroker]) -> None:
    """A refusal comes back as a message: what it means depends on the request."""

    def refuse(message: control.AnyMessage) -> list[control.Message]:
        return [control.Refused(id=message.id, code="unknown", text="no")]

    with ControlChannel(broker(refuse).endpoint) as channel:
        answer = channel.request(control.Ask(what="dead", name="x"), 10)
        assert isinstance(answer, control.Refused)


def test_nobody_answers_in_time(isolated_environment: Path) -> None:
    """Without a broker the time limit holds, and the error names the place and the exit code."""
    endpoint = Endpoint.from_url(f"ipc://{isolated_environment}")
    with ControlChannel(endpoint) as channel:
        begun = time.monotonic()
        with pytest.raises(BrokerAwayError, match="No broker answered at ipc://") as caught:
            channel.request(control.Ask(what="status"), 0.2)
        assert time.monotonic() - begun < 2
        assert caught.value.exit_code == 69


def test_broker_comes_back(broker: Callable[[Answerer], FakeBroker]) -> None:
    """A channel finds a broker that comes, goes and comes again, and repeats nothing."""
    asked: list[int] = []

    def note(message: control.AnyMessage) -> list[control.Message]:
        asked.append(message.id)
        return status(message)

    first = broker(status)
    with ControlChannel(first.endpoint) as channel:
        channel.request(control.Ask(what="status"), 10)
        first.stop()
        for _ in range(2):
            with pytest.raises(BrokerAwayError):
                channel.request(control.Ask(what="status"), 0.1)
        broker(note)
        channel.request(control.Ask(what="status"), 10)
        assert asked == [4]


def test_nothing_stays_open(broker: Callable[[Answerer], FakeBroker]) -> None:
    """Channels that are closed, once or twice, leave no descriptor and no thread."""
    endpoint = broker(status).endpoint
    process = psutil.Process()
    before = process.num_fds(), process.num_threads()
    for _ in range(10):
        channel = ControlChannel(endpoint)
        channel.request(control.Ask(what="status"), 10)
        channel.close()
        channel.close()
    until = time.monotonic() + 5
    while (process.num_fds(), process.num_threads()) != before and time.monotonic() < until:
        time.sleep(0.02)
    assert (process.num_fds(), process.num_threads()) == before
