"""What can go wrong in a round of chaos. Each fault tells the diary, and is mended in time."""

import contextlib
import resource
import signal
import time
from collections.abc import Callable, Iterable
from typing import Final

import psutil

from chaos.rounds import Process, Round, free_ports

Fault = Callable[[Round], None]
#: Until a client notices that its disk has room again, and has written what it kept in memory.
NOTICED_NS: Final = 1_000_000_000


def broker_killed(about: Round) -> None:
    """The broker gets SIGKILL; behind the line somebody starts it again after a while."""
    if about.kill_broker():
        about.note("broker killed")
        if about.proxied:
            time.sleep(about.chance.uniform(0, 1))
            about.start_broker()


def broker_frozen(about: Round) -> None:
    """The broker stands still for a while."""
    _freeze(about, "broker", about.host.brokers(), about.chance.uniform(0.2, 3))


def broker_stutters(about: Round) -> None:
    """The broker is slow, as on a slow disk: it stands still twenty times."""
    for _ in range(20):
        _freeze(about, "", about.host.brokers(), 0.03)
        time.sleep(0.01)
    about.note("broker stuttered")


def broker_disk_full(about: Round) -> None:
    """No file of the broker can grow for a while."""
    _fill(about, "broker", about.host.brokers())


def broker_moved(about: Round) -> None:
    """The broker behind the line is killed, and comes back on another port."""
    if about.proxied and about.kill_broker():
        about.set_line(back=free_ports())
        about.start_broker()
        about.note("broker moved to another port")


def broker_replaced(about: Round) -> None:
    """The broker is killed, and a new one comes with an empty journal."""
    if about.replaced or not about.kill_broker():
        return
    about.replaced = True
    old = about.folder / "old-journal"
    about.journal.rename(old)
    about.journals.append(old)
    about.note("broker replaced by one with an empty journal")
    if about.proxied:
        about.start_broker()


def workers_killed(about: Round) -> None:
    """All workers get SIGKILL."""
    victims = about.host.workers()
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    about.note(f"{len(victims)} workers killed")


def workers_frozen(about: Round) -> None:
    """All workers stand still for a while."""
    _freeze(about, "workers", about.host.workers(), about.chance.uniform(0.2, 3))


def workers_disk_full(about: Round) -> None:
    """No file of the workers can grow for a while."""
    _fill(about, "workers", about.host.workers())


def training_killed(about: Round) -> None:
    """A training gets SIGKILL, and its run is resumed."""
    victim = _training(about)
    if victim is None:
        return
    victim.killed_at = time.monotonic_ns()
    victim.process.send_signal(signal.SIGKILL)
    victim.process.wait()
    about.note(f"training process {victim.process.pid} of {victim.run_id} killed")
    about.train(victim.run_id, resume=True)


def training_frozen(about: Round) -> None:
    """A training stands still for a while."""
    victim = _training(about)
    if victim is not None:
        frozen = [psutil.Process(victim.process.pid)]
        _freeze(about, f"training {victim.run_id}", frozen, about.chance.uniform(0.2, 2))


def training_disk_full(about: Round) -> None:
    """No file of a training, its spool included, can grow for a while."""
    victim = _training(about)
    if victim is not None:
        began = time.monotonic_ns()
        _fill(about, f"training {victim.run_id}", [psutil.Process(victim.process.pid)])
        victim.unsafe.append((began, time.monotonic_ns() + NOTICED_NS))


def clock_jumps(about: Round) -> None:
    """The wall clock of all processes jumps by an hour, forwards or back."""
    seconds = about.chance.choice([-3600, 3600, 0])
    about.set_clock(seconds)
    about.note(f"clocks are shifted by {seconds} s")


def line_bad(about: Round) -> None:
    """Messages are lost, repeated and late for a while."""
    if about.proxied:
        chance = about.chance.choice([0.01, 0.2, 0.5])
        about.set_line(lost=chance, twice=chance, late=chance, delay=0.3)
        about.note(f"line bad: {chance:.0%} lost, repeated, late")
        time.sleep(about.chance.uniform(0.5, 3))
        about.set_line(lost=0.0, twice=0.0, late=0.0)
        about.note("line good again")


def line_cut(about: Round) -> None:
    """Nothing comes through for a while."""
    if about.proxied:
        about.set_line(cut=True)
        about.note("line cut")
        time.sleep(about.chance.uniform(0.2, 3))
        about.set_line(cut=False)
        about.note("line mended")


ALL: Final[tuple[Fault, ...]] = (
    broker_killed,
    broker_frozen,
    broker_stutters,
    broker_disk_full,
    broker_moved,
    broker_replaced,
    workers_killed,
    workers_frozen,
    workers_disk_full,
    training_killed,
    training_frozen,
    training_disk_full,
    clock_jumps,
    line_bad,
    line_cut,
)


def _training(about: Round) -> Process | None:
    # one that is still starting may rightly refuse to start without a disk
    living = [each for each in about.living() if each.accepted]
    return about.chance.choice(living) if living else None


def _freeze(about: Round, name: str, victims: Iterable[psutil.Process], seconds: float) -> None:
    victims = list(victims)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.suspend()
    time.sleep(seconds)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.resume()
    if name:
        about.note(f"{name} frozen for {seconds:.2f} s")


def _fill(about: Round, name: str, victims: Iterable[psutil.Process]) -> None:
    seconds = about.chance.uniform(0.2, 3)
    limited = []
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            before = resource.prlimit(victim.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(victim.pid, resource.RLIMIT_FSIZE, (0, before[1]))
            limited.append((victim.pid, before))
    time.sleep(seconds)
    for pid, before in limited:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    about.note(f"disk of {name} full for {seconds:.2f} s")
