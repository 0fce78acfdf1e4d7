"""The daemon, top to bottom: own the journal, bind, serve, leave."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

import zmq

from drytorch_broker import adoption, lost, place, retention, status
from drytorch_broker.committer import Committer
from drytorch_broker.config import BrokerConfig
from drytorch_broker.ingest import Ingest
from drytorch_broker.notify import notify
from drytorch_broker.outbox import Outbox
from drytorch_broker.requests import Requests
from drytorch_broker.sockets import Sockets
from drytorch_broker.state import State, open_state
from drytorch_schemas.endpoint import EndpointFile, write_endpoint

_log: Final = logging.getLogger(__name__)
_IDLE_POLL_MS: Final = 200
_CLEAN_EVERY: Final = 60.0
#: A stop takes what is on its way until nothing comes for `_QUIET_MS`, for so many seconds at most.
_LAST_WORDS: Final = 2.0
_QUIET_MS: Final = 100


def serve(config: BrokerConfig, on_ready: Callable[[str], None]) -> None:
    """Run a broker until it is told to stop.

    Args:
        config: its options.
        on_ready: called once with a line that says where it listens and writes.

    Raises:
        BrokerError: it cannot start.
    """
    place.prepare(config.journal)
    lock = place.own(config.journal)
    try:
        sockets = Sockets(config)
        try:
            state = _opened(config)
            try:
                _run(config, sockets, state, on_ready)
            finally:
                state.close()
        finally:
            sockets.close()
    finally:
        lock.release()


def _opened(config: BrokerConfig) -> State:
    try:
        return open_state(config, time.monotonic())
    except OSError as error:
        raise place.refusal(config.journal, error) from error


def _run(
    config: BrokerConfig, sockets: Sockets, state: State, on_ready: Callable[[str], None]
) -> None:
    url = sockets.endpoint.url
    broker = Broker(config, sockets, state)
    with _Signals() as signals:
        write_endpoint(config.journal, EndpointFile(url, os.getpid(), state.log.journal_id))
        _log.info("listening on %s, journal in %s", url, config.journal)
        on_ready(f"drytorch-broker listens on {url} and writes to {config.journal}")
        notify("READY=1")
        broker.run(signals)
        notify("STOPPING=1")
        broker.stop()


class _Signals:
    """Wakes the loop up at SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.received = 0

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)
        return self

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received = number

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self.descriptor)
        os.close(self._write)


class Broker:
    """The loop: drain, commit, acknowledge, ring, answer, look after things."""

    def __init__(self, config: BrokerConfig, sockets: Sockets, state: State) -> None:
        """Put the parts together.

        Args:
            config: the broker's options.
            sockets: its sockets, bound.
            state: what it knows.
        """
        now = time.monotonic()
        self._config = config
        self._sockets = sockets
        self._state = state
        self._committer = Committer(state)
        self._outbox = Outbox(sockets.control, sockets.fanout, state.log.journal_id)
        self._ingest = Ingest(state, sockets.ingest, self._outbox)
        self._requests = Requests(
            state, sockets.control, self._outbox, sockets.endpoint.url, sockets.ports
        )
        self._adopter = adoption.Adopter(state, sockets.endpoint)
        self._lost = lost.LostRuns(state, self._committer, now)
        self._retention = retention.Retention(state)
        self._busy_at = now
        self._leave = False
        self._actions = (
            (adoption.LOOK_EVERY, self._adopter.look),
            (lost.LOOK_EVERY, self._look_for_lost),
            (lost.LOOK_EVERY, self._look_whether_idle),
            (adoption.LOOK_EVERY, sockets.restore),
            (retention.LOOK_EVERY, self._retention.look),
            (_CLEAN_EVERY, self._clean),
        )
        self._due = [now] * len(self._actions)

    def run(self, signals: _Signals) -> None:
        """Serve until a signal, a request or idleness ends it.

        Args:
            signals: what the process was sent.
        """
        poller = zmq.Poller()
        for socket in (self._sockets.ingest, self._sockets.control, self._sockets.fanout):
            poller.register(socket, zmq.POLLIN)
        poller.register(signals.descriptor, zmq.POLLIN)
        wait = 0
        while not (signals.received or self._requests.stop_asked or self._leave):
            poller.poll(wait)
            wait = 0 if self.turn(time.monotonic()) else self._patience()

    def turn(self, now: float) -> bool:
        """Do what there is to do once; tell whether there is more at once.

        Args:
            now: the time, seconds.
        """
        more = self._ingest.drain(now)
        if self._adopter.busy:
            self._adopter.step(now)
            more = True
        self._commit(now)
        more |= self._requests.serve(now)
        self._commit(now)  # what a hello found to be elsewhere, and duplicates' acknowledgements
        self._outbox.read_subscriptions()
        self._state.workers.tick(now)
        self._look_after(now)
        return more

    def _commit(self, now: float) -> None:
        committer, outbox = self._committer, self._outbox
        outbox.tell(committer.commit(now))
        outbox.tell(self._state.inlet.tick(now))
        outbox.tell(committer.try_again(now))
        outbox.ring(committer.news, self._state.log.durable, now)

    def _patience(self) -> int:
        """Return how long the loop may sleep, milliseconds."""
        if self._committer.news:
            return 5
        if self._state.inlet.waits:
            return 20
        return _IDLE_POLL_MS

    def _look_after(self, now: float) -> None:
        for number, (every, action) in enumerate(self._actions):
            if now >= self._due[number]:
                self._due[number] = now + every
                action()

    def _look_for_lost(self) -> None:
        self._lost.look(time.monotonic(), self._adopter.expects)

    def _look_whether_idle(self) -> None:
        now = time.monotonic()
        state = self._state
        if (
            status.living(state, now)
            or state.workers.attached(now)
            or self._adopter.busy
            or state.inlet.held_bytes
            or state.failing
        ):
            self._busy_at = now
        elif self._config.idle_exit and now - self._busy_at >= self._config.idle_exit:
            _log.info("nothing to do for %g s: leaving", self._config.idle_exit)
            self._leave = True

    def _clean(self) -> None:
        now = time.monotonic()
        self._state.inlet.forget_unheard(now)
        self._outbox.forget(status.living(self._state, now))
        self._requests.forget_peers(now)

    def stop(self) -> None:
        """Take what is on its way, make it durable, acknowledge it."""
        _log.info("stopping")
        end = time.monotonic() + _LAST_WORDS
        # Unbinding first would cut the connections over which acknowledgements go.
        while time.monotonic() < end and self._sockets.ingest.poll(_QUIET_MS):
            self._ingest.drain(time.monotonic())
            self._outbox.tell(self._committer.commit(time.monotonic()))
        self._requests.serve(time.monotonic())
        self._adopter.close()
