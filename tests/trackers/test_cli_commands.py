"""The subcommands against a real broker: track, tail, runs, workers, run and sync."""

import json
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dead_spools import leave_a_spool
from drytorch_client.workers.owed import owed_file, put
from drytorch_schemas import events
from drytorch_schemas.endpoint import default_endpoint
from drytorch_schemas.folders import journal_dir
from drytorch_trackers.cli import main
from feeding import Run
from hosts import BIN, Host, eventually
from producing import Broker, Producer
from working import CSV, rows, spec_of

Maker = Callable[[Run], Producer]

pytestmark = pytest.mark.system(deadline=20)


def csv_of(folder: Path, run_id: str) -> Path:
    """Return where a run's CSV file is."""
    return folder / "csv_metrics" / "Exp" / run_id / "net" / "Trainer.csv"


def test_track_goes_on_where_it_was(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """A name keeps a cursor over Ctrl-C, and `--follow` waits for further runs."""
    one, two = Run(1, "one"), Run(2, "two")
    producer_of(one).send(one.whole(5))
    command = (BIN / "drytorch", "track", "csv", "--name", "archive", "--follow")
    place = ("--broker", broker.url, "--par-dir", tmp_path / "out")
    tracking = host.start(*command, *place)
    eventually(lambda: rows(csv_of(tmp_path / "out", "one")) == 6, 20, "the first run")
    tracking.send_signal(signal.SIGINT)
    assert host.finish(tracking).returncode == 0
    csv_of(tmp_path / "out", "one").unlink()  # what was handled is not handled again
    producer_of(two).send(two.whole(3))
    tracking = host.start(*command, *place)
    eventually(lambda: rows(csv_of(tmp_path / "out", "two")) == 4, 20, "the second run")
    tracking.terminate()
    finished = host.finish(tracking)
    assert finished.returncode == 0
    assert finished.stderr == "drytorch track: Leaving: asked to leave.\n"
    assert not csv_of(tmp_path / "out", "one").exists()


def test_track_from_now_and_from_an_offset(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """A late start is given the beginning of the run, and only the rows from there on."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(6)
    producer.send(payloads[:5])
    now = host.start(
        BIN / "drytorch", "track", "csv", "--from", "now",
        "--broker", broker.url, "--par-dir", tmp_path / "now",
    )  # fmt: skip

    def attached() -> bool:
        listed = host.drytorch("workers", "--json", "--broker", broker.url).stdout
        return '"attached": true' in listed

    eventually(attached, 20, "it is attached")
    producer.send(payloads[5:])  # offset 0 is the broker's own note: epoch 3 lies at offset 5
    assert host.finish(now).returncode == 0
    later = host.drytorch(
        "track", "csv", "--from", "5", "--run", "r", "-o", "csv.resume_run=false",
        "--broker", broker.url, "--par-dir", tmp_path / "four",
    )  # fmt: skip
    assert later.returncode == 64, later.stderr
    later = host.drytorch(
        "track", "csv", "--from", "5", "--run", "r", "--broker", broker.url,
        "--par-dir", tmp_path / "four",
    )  # fmt: skip
    assert later.returncode == 0, later.stderr
    for folder, epochs in (("now", [4, 5, 6]), ("four", [3, 4, 5, 6])):
        lines = (tmp_path / folder / CSV).read_text().splitlines()[1:]
        assert [int(line.split(",")[2]) for line in lines] == epochs
    assert host.drytorch("workers", "--json", "--broker", broker.url).stdout == "[]\n"


def test_track_that_is_sent_away_leaves_no_name(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """A second writer of a run's folder leaves with 75, and the broker forgets its cursor."""
    run = Run()
    producer = producer_of(run)
    payloads = run.whole(2)
    producer.send(payloads[:-1])
    command = ("track", "csv", "--broker", broker.url, "--par-dir", tmp_path / "out")
    first = host.start(BIN / "drytorch", *command, "--name", "first")
    eventually(lambda: rows(tmp_path / "out" / CSV) == 3, 20, "the first writes")
    second = host.drytorch(*command)
    assert second.returncode == 75
    assert second.stderr.count("\n") == 1
    listed = json.loads(host.drytorch("workers", "--json", "--broker", broker.url).stdout)
    assert [row["name"] for row in listed] == ["first"]
    producer.send(payloads[-1:])
    assert host.finish(first).returncode == 0


def test_track_waits_for_a_run(
    host: Host, broker: Broker, producer_of: Maker, tmp_path: Path
) -> None:
    """With nothing matched yet it says so in one line, and handles the run when it comes."""
    waiting = host.start(
        BIN / "drytorch", "track", "csv", "--experiment", "E*",
        "--broker", broker.url, "--par-dir", tmp_path,
    )  # fmt: skip
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "drytorch track: No run matches yet: waiting for one.\n"
    run = Run()
    producer_of(run).send(run.whole(2))
    assert host.finish(waiting).returncode == 0
    assert rows(tmp_path / CSV) == 3


def test_tail(host: Host, broker: Broker, producer_of: Maker) -> None:
    """Events are printed as they come, as text without control characters or as JSON."""
    run = Run(1, "evil\x1b]0;x\x07")
    producer = producer_of(run)
    producer.send([run.start()])
    texts = [host.start(BIN / "drytorch", "tail", "--broker", broker.url, *more)
             for more in ([], ["--json"], ["--run", "other"])]  # fmt: skip
    shown = ["", "", ""]

    def printed() -> bool:
        producer.send([run.metric(1)])
        for number in (0, 1):
            stream = texts[number].stdout
            assert stream is not None
            if not shown[number] and select.select([stream], [], [], 0.2)[0]:
                shown[number] = stream.readline()
        return all(shown[:2])

    eventually(printed, 20, "a line each")
    assert "Exp/evil\\x1b]0;x\\x07 Metric" in shown[0]
    assert "\x1b" not in shown[0]
    wire = json.loads(shown[1])
    assert wire["event"]["metrics"] == {"loss": 0.5}
    assert wire["kind"] == "Metric"
    for tail in texts:
        tail.send_signal(signal.SIGINT)
    finished = [host.finish(tail) for tail in texts]
    assert [each.returncode for each in finished] == [130, 130, 130]
    assert [each.stderr for each in finished] == ["", "", ""]
    assert finished[2].stdout == ""


def test_runs_with_and_without_a_broker(host: Host, isolated_environment: Path) -> None:
    """The journal alone tells the same of its runs as the broker did."""
    assert isolated_environment.exists()
    broker = Broker(host, journal_dir())
    done, failed, going = Run(1, "done"), Run(2, "failed"), Run(3, "going")
    for run in (done, failed, going):
        producer = Producer(broker.url, run)
        payloads = run.whole(2)
        if run is failed:
            stop = events.StopExperimentEvent(exp_name="Exp", run_id="x", status="failed")
            run._seq -= 1
            payloads[-1] = run.emit(stop)
        producer.send(payloads[: -1 if run is going else None])
        producer.close()
    asked = json.loads(host.drytorch("runs", "--json").stdout)
    table = host.drytorch("runs").stdout
    only = host.drytorch("runs", "--run", "d*", "--json").stdout
    broker.close()
    read = json.loads(host.drytorch("runs", "--json").stdout)
    assert host.drytorch("runs").stdout == table
    assert host.drytorch("runs", DRYTORCH_BROKER="disabled").stdout == table
    assert [row["status"] for row in read] == ["completed", "failed", "running"]
    assert [{name: row[name] for name in read[0]} for row in asked] == read
    assert [row["run_id"] for row in json.loads(only)] == ["done"]
    assert table.splitlines()[0].split() == ["EXPERIMENT", "RUN", "STATUS", "EVENTS", "STARTED",
                                             "LAST", "EVENT"]  # fmt: skip


def test_workers(host: Host, broker: Broker, producer_of: Maker, tmp_path: Path) -> None:
    """The list shows cursor, lag and dead letters of a name whose process is gone."""
    assert host.drytorch("workers", "--broker", broker.url).stdout == "No workers.\n"
    run = Run()
    producer = producer_of(run)
    producer.send(run.whole(2))
    tracked = host.drytorch(
        "track", "csv", "--name", "a", "--broker", broker.url, "--par-dir", tmp_path
    )
    assert tracked.returncode == 0
    producer.send([run.metric(9)])
    (row,) = json.loads(host.drytorch("workers", "--json", "--broker", broker.url).stdout)
    assert (row["name"], row["lag"], row["dead"], row["attached"]) == ("a", 1, 0, False)
    header, line = host.drytorch("workers", "--broker", broker.url).stdout.splitlines()
    assert header.split()[:4] == ["NAME", "STATE", "CURSOR", "LAG"]
    assert line.split()[0] == "a"
    dead = host.drytorch("workers", "--dead", "a", "--broker", broker.url)
    assert dead.stdout == "No dead letters.\n"
    dead = host.drytorch("workers", "--dead", "b", "--broker", broker.url)
    assert (dead.returncode, dead.stdout) == (66, "")
    assert dead.stderr == "drytorch: There is no worker 'b': `drytorch workers` lists them.\n"


@pytest.mark.parametrize("code", [0, 7, -signal.SIGTERM])
def test_run_ends_as_the_training_ends(host: Host, code: int) -> None:
    """Exit code and signal are the training's own, and trackers are handed over by environment."""
    script = (
        "import os, json, signal, sys; print(os.environ['DRYTORCH_TRACKERS']);"
        f" sys.stdout.flush(); code = {code};"
        " sys.exit(code) if code >= 0 else os.kill(os.getpid(), -code)"
    )
    finished = host.drytorch(
        "run", "-t", "csv", "-t", "console", "-o", "csv.par_dir=copies",
        "--", sys.executable, "-c", script, "-t", "not ours",
    )  # fmt: skip
    assert finished.returncode == code
    assert json.loads(finished.stdout) == [
        {"target": "csv", "options": {"par_dir": "copies"}},
        {"target": "console", "options": {}},
    ]


def test_sync(host: Host, tmp_path: Path) -> None:
    """What a killed training spooled and its owed worker had to do is done by one command."""
    assert host.drytorch("sync").stdout == "Nothing is left to deliver.\n"
    run = Run()
    spool = leave_a_spool(run, run.whole(5), journal=str(journal_dir()))
    put(spec_of(host, default_endpoint(journal_dir()).url, "csv"))
    synced = host.drytorch("sync")
    assert (synced.returncode, synced.stderr) == (0, "")
    assert synced.stdout == "1 spool delivered, 1 worker ended.\n"
    assert rows(tmp_path / "out" / CSV) == 6
    assert not spool.exists()
    assert not owed_file("worker").exists()
    assert host.broker("stop").returncode == 0


def test_sync_to_a_broker_by_its_url(
    host: Host, broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A spool for a broker that cannot see it is sent there, under the dead producer's id."""
    run = Run()
    payloads = run.whole(5)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))  # the broker's is another one
    host.environment["XDG_STATE_HOME"] = str(tmp_path / "other")
    spool = leave_a_spool(run, payloads, broker=broker.url)
    synced = host.drytorch("sync")
    assert (synced.returncode, synced.stderr) == (0, "")
    assert synced.stdout == "1 spool delivered, 0 workers ended.\n"
    assert not spool.exists()
    listed = host.drytorch("runs", "--broker", broker.url).stdout
    assert listed.splitlines()[1].split()[:4] == ["Exp", "r", "completed", "8"]


def test_sync_leaves_what_is_for_another_broker(capsys: pytest.CaptureFixture[str]) -> None:
    """A spool names its broker; where that does not answer it stays, and 69 says so."""
    run = Run()
    spool = leave_a_spool(run, run.whole(1), broker="tcp://127.0.0.1:1")
    assert main(["sync", "--wait", "0.3"]) == 69
    out, err = capsys.readouterr()
    assert out == "0 spools delivered, 0 workers ended.\n"
    assert "tcp://127.0.0.1:1" in err
    assert spool.exists()
