"""Forks of a training (A) at the worst moment."""

from __future__ import annotations

import pytest

from emitting import numbers, run
from hosts import Host

LOCKS = (
    "core.queue._lock",
    "core.intake._lock",
    "core._spool._guard",
    "core._courier.progress",
    "sender._starting",
    "process_exit._PROCESS.lock",
)


@pytest.mark.parametrize("spool", ["async", "before_return"])
def test_fork_while_a_lock_is_held(host: Host, spool: str) -> None:
    """A child forked while any lock of the sender is held by a thread can report (A19)."""
    ended = run(
        host,
        f"""
        from drytorch_client import process_exit
        core = sender._core
        emit(0)
        assert sender.flush(20)
        for number, lock in enumerate([{", ".join(LOCKS)}], 1):
            held, enough = threading.Event(), threading.Event()
            def hold():
                with lock:
                    held.set()
                    enough.wait()
            holder = threading.Thread(target=hold)
            holder.start()
            held.wait()
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                emit(1000 + number)
                os._exit(0 if sender.flush(20) else 1)
            ended = os.waitpid(child, 0)[1]
            enough.set()
            holder.join()
            say(number, ended)
            emit(number)
        assert sender.flush(20)
        """,
        spool=spool,
    )
    assert ended.returncode == 0, ended
    assert ended.stdout.splitlines() == [f"{number} 0" for number in range(1, len(LOCKS) + 1)]
    found = numbers()
    assert [each for each in found if each < 1000] == list(range(len(LOCKS) + 1))
    assert sorted(each for each in found if each > 1000) == [
        1001 + place for place in range(len(LOCKS))
    ]
