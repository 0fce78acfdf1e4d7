"""Real workers and a real broker: kills, restarts, absences, and trackers that misbehave."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from drytorch_client.workers.owed import owed_file
from drytorch_schemas.control import Filter
from drytorch_schemas.endpoint import default_endpoint
from feeding import Run
from hosts import Host, eventually
from producing import Broker, Producer
from working import CSV, Workers, expected_csv, rows, run_here, spec_of

Maker = Callable[[Run], Producer]

pytestmark = pytest.mark.system(deadline=20)


def test_a_worker_that_waits_for_broker_and_run(
    host: Host, workers: Workers, isolated_environment: Path, tmp_path: Path
) -> None:
    """A worker started before its broker and its run writes all of it, settles and leaves (D4)."""
    folder = isolated_environment / "journal"
    run = Run()
    spec = spec_of(
        host, default_endpoint(folder).url, "csv", filter=Filter(experiment="Exp", run=run.run)
    )
    worker = workers.start(spec)
    broker = Broker(host, folder)
    other, producer = Producer(broker.url, Run(7, "other")), Producer(broker.url, run)
    other.send(other.run.whole(3))
    payloads = run.whole(30)
    for start in range(0, len(payloads), 5):
        producer.send(payloads[start : start + 5])
    _, err = worker.communicate(timeout=30)
    assert (worker.returncode, err) == (0, b"")
    assert (tmp_path / "out" / CSV).read_bytes() == expected_csv(host, payloads, tmp_path)
    assert not (tmp_path / "out" / "csv_metrics" / "Exp" / "other").exists()
    assert not owed_file("worker").exists()
    assert host.drytorch("workers", "--json", "--broker", broker.url).stdout.strip() == "[]"
    other.close()
    producer.close()
    broker.close()


def wait_for_rows(csv: Path, count: int) -> None:
    """Wait until a file has more lines than that."""
    eventually(lambda: rows(csv) > count, 20, "some rows")


def test_killed_again_and_again(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A worker killed with SIGKILL at any moment goes on where it was; its file is right (D1)."""
    run = Run()
    producer = producer_of(run)
    spec = spec_of(host, broker.url, "csv")
    csv = tmp_path / "out" / CSV
    payloads = [run.start(), run.actor()]
    producer.send(payloads)
    for kill in range(4):
        more = [run.metric(200 * kill + epoch) for epoch in range(200)]
        producer.send(more)
        payloads += more
        worker = workers.start(spec)
        wait_for_rows(csv, rows(csv) + 20 * (kill + 1))
        worker.kill()
        worker.communicate()
    payloads.append(run.stop())
    producer.send(payloads[-1:])
    assert workers.run(spec) == (0, "")
    assert csv.read_bytes() == expected_csv(host, payloads, tmp_path)


def test_the_broker_dies_while_a_worker_catches_up(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A broker that is killed and started again costs a worker nothing but time (D3)."""
    run = Run()
    producer_of(run).send(run.whole(300))
    worker = workers.start(spec_of(host, broker.url, "Paced"))
    (tmp_path / "out").mkdir()
    seen = tmp_path / "out" / "paced.txt"
    eventually(lambda: rows(seen) > 30, 20, "some lines")
    broker.kill()
    before = rows(seen)
    broker.restart()
    _, err = worker.communicate(timeout=40)
    assert (worker.returncode, err) == (0, b"")
    assert before < 300
    assert seen.read_text().split() == [str(epoch) for epoch in range(1, 301)]


def test_another_journal_under_the_same_address(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """A worker whose broker comes back with an empty journal says so, starts there anew (D14)."""
    first, second = Run(1, "first"), Run(2, "r")
    producer = producer_of(first)
    producer.send(first.whole(3)[:-1])
    spec = spec_of(host, broker.url, "csv", follow=True)
    worker = workers.start(spec)
    first_csv = tmp_path / "out" / "csv_metrics" / "Exp" / "first" / "net" / "Trainer.csv"
    eventually(lambda: rows(first_csv) == 4, 20, "the first run")
    broker.kill()
    shutil.rmtree(broker.folder)
    broker.restart()
    later = Producer(broker.url, second)
    later.send(second.whole(2))
    eventually(lambda: rows(tmp_path / "out" / CSV) == 3, 20, "the second run")
    worker.terminate()
    worker.communicate(timeout=20)
    assert worker.returncode == 0
    assert "another journal" in Path(spec.log_file).read_text()
    later.close()


def test_one_name_for_two_workers(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """The second of two living workers of one name leaves with 75; the first goes on (D12)."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(5)
    producer.send(payloads[:3])
    first = workers.start(spec_of(host, broker.url, "csv"))
    eventually(lambda: rows(tmp_path / "out" / CSV) == 2, 20, "the first row")
    code, err = workers.run(spec_of(host, broker.url, "csv", owed="", par_dir=str(tmp_path / "b")))
    assert code == 75
    assert "is taken" in err
    assert len(err.splitlines()) == 1
    tracked = host.drytorch("track", "csv", "--broker", broker.url, "--name", "worker")
    assert tracked.returncode == 75
    assert workers.run(spec_of(host, broker.url, "csv", name="other"))[0] == 75  # the owed lock
    producer.send(payloads[3:])
    first.communicate(timeout=20)
    assert first.returncode == 0
    assert rows(tmp_path / "out" / CSV) == 6


def test_a_taken_run_folder(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """While another worker writes to a run's folder, `track` is refused and a local one waits."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(5)
    producer.send(payloads[:3])
    first = workers.start(spec_of(host, broker.url, "csv"))
    eventually(lambda: rows(tmp_path / "out" / CSV) == 2, 20, "the first row")
    second = spec_of(host, broker.url, "csv", name="second", owed=str(owed_file("second")))
    waiting = workers.start(second)
    tracked = host.drytorch("track", "csv", "--broker", broker.url, "--par-dir", tmp_path / "out")
    assert tracked.returncode == 75, tracked.stderr
    replayed = host.drytorch("replay", broker.folder, "--to", "csv", "--par-dir", tmp_path / "out")
    assert (replayed.returncode, replayed.stderr.count("\n")) == (75, 1), replayed.stderr
    assert waiting.poll() is None
    producer.send(payloads[3:])
    for worker in (first, waiting):
        worker.communicate(timeout=20)
        assert worker.returncode == 0
    assert rows(tmp_path / "out" / CSV) == 6


def test_a_tracker_that_raises_always(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """After twenty dead letters in a row its worker stops with 73; they can be looked at (D7)."""
    run = Run()
    producer_of(run).send(run.whole(100))
    said: list[str] = []
    code, done = run_here(spec_of(host, broker.url, "Raising"), said)
    assert (code, done) == (73, False)
    assert len(said) == 2
    assert "stopped: 20 events in a row failed (RuntimeError: no)" in said[1]
    listed = host.drytorch("workers", "--broker", broker.url)
    assert "RuntimeError: no" in listed.stdout
    dead = host.drytorch("workers", "--dead", "worker", "--json", "--broker", broker.url)
    assert dead.stdout.count('"offset"') == 20
    (tmp_path / "out").mkdir()
    code, done = run_here(spec_of(host, broker.url, "RaisingOnce", name="once"), said)
    assert (code, done) == (73, True)
    assert (tmp_path / "out" / "once.txt").read_text().split() == [
        str(epoch) for epoch in range(1, 101) if epoch != 3
    ]


def test_a_tracker_that_exits(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """One event is put aside, all others are handled, and 73 says so; nothing is owed (D9)."""
    run = Run()
    producer_of(run).send(run.whole(5))
    code, err = workers.run(spec_of(host, broker.url, "csv", "Leaving"))
    assert code == 73
    assert len(err.splitlines()) == 1
    assert "Leaving could not handle Metric, which is put aside: SystemExit: 3" in err
    assert rows(tmp_path / "out" / CSV) == 6
    assert not owed_file("worker").exists()
    dead = host.drytorch("workers", "--dead", "worker", "--broker", broker.url).stdout
    assert len(dead.splitlines()) == 2
    assert "Exp/r/Metric/" in dead


def test_a_tracker_that_hangs(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker
) -> None:
    """When its run is over and nothing is finished for a stated time, it leaves with 73 (D8)."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(5)
    producer.send(payloads[:-1])
    worker = workers.start(spec_of(host, broker.url, "Sleeping", stuck_exit_s=1.0))
    with pytest.raises(Exception, match="timed out"):  # the run goes on: it may take its time
        worker.communicate(timeout=3)
    producer.send(payloads[-1:])
    _, err = worker.communicate(timeout=20)
    assert worker.returncode == 73
    assert b"its run is over" in err
    assert owed_file("worker").exists()


def test_a_tracker_that_hangs_without_a_broker(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker
) -> None:
    """A worker whose tracker hangs while no broker answers leaves too, with 69."""
    run = Run()
    producer_of(run).send(run.whole(5))
    worker = workers.start(
        spec_of(host, broker.url, "Sleeping", stuck_exit_s=0.5, quiet_exit_s=1.0)
    )
    eventually(
        lambda: (
            '"attached": true' in host.drytorch("workers", "--json", "--broker", broker.url).stdout
        ),
        20,
        "it is attached",
    )
    broker.kill()
    worker.communicate(timeout=20)
    assert worker.returncode in (69, 73)


def test_no_broker_for_too_long(host: Host, workers: Workers, isolated_environment: Path) -> None:
    """Without a broker a worker leaves with 69 after the stated time, quietly, still owed."""
    url = f"ipc://{isolated_environment}/nobody"
    assert workers.run(spec_of(host, url, "csv", quiet_exit_s=1.0)) == (69, "")
    assert owed_file("worker").exists()


def test_signals(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """Ctrl-C and a hang-up are for the training; SIGTERM lets a worker commit and leave with 0."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(5)
    producer.send(payloads[:4])
    spec = spec_of(host, broker.url, "csv")
    worker = workers.start(spec)
    csv = tmp_path / "out" / CSV
    eventually(lambda: rows(csv) == 3, 20, "two rows")
    worker.send_signal(signal.SIGINT)
    worker.send_signal(signal.SIGHUP)
    producer.send(payloads[4:5])
    eventually(lambda: rows(csv) == 4, 20, "a third row")
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=10)
    assert (worker.returncode, err) == (0, b"")
    listed = host.drytorch("workers", "--json", "--broker", broker.url).stdout
    assert '"lag": 0' in listed
    producer.send(payloads[5:])
    assert workers.run(spec) == (0, "")
    assert rows(csv) == 6


@pytest.mark.parametrize(
    ("targets", "code", "words"),
    [
        (["NotBuilt"], 73, "NotBuilt cannot be built: RuntimeError: no constructor"),
        (["no_such_class"], 64, "no_such_class"),
    ],
)
def test_trackers_that_cannot_be_had(
    host: Host, workers: Workers, targets: list[str], code: int, words: str
) -> None:
    """A worker without any tracker leaves at once with a code and one sentence (D7)."""
    got, err = workers.run(spec_of(host, "ipc:///nowhere", *targets))
    assert got == code
    assert words in err
    assert len(err.splitlines()) == 1


def test_one_of_two_trackers_cannot_be_had(
    host: Host, broker: Broker, workers: Workers, producer_of: Maker, tmp_path: Path
) -> None:
    """The other tracker of the worker does its work, and the exit code tells of the loss."""
    run = Run()
    producer_of(run).send(run.whole(5))
    code, err = workers.run(spec_of(host, broker.url, "NotBuilt", "csv"))
    assert code == 73
    assert "NotBuilt cannot be built" in err
    assert rows(tmp_path / "out" / CSV) == 6


def test_a_description_that_is_none(workers: Workers) -> None:
    """Garbage on stdin ends a worker with 64 and a sentence."""

    class Garbage:
        owed = ""
        name, par_dir = "x", "y"

        def to_bytes(self) -> bytes:
            return b"\xc1"

    code, err = workers.run(Garbage())  # type: ignore[arg-type]  # what it is about
    assert code == 64
    assert "cannot be read" in err
    assert len(err.splitlines()) == 1
