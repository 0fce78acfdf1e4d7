"""Odd values, names, clocks and bursts (A): what is accepted arrives as it was."""

from __future__ import annotations

import csv
import itertools
import json
import math
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from drytorch_client.config import ClientConfig
from drytorch_client.sender import Sender
from drytorch_schemas.events import LossEvent, MetricEvent
from emitting import RUN, envelopes, kinds, numbers, start
from hosts import Host, eventually

VALUES: dict[str, tuple[Any, float]] = {
    "nan": (math.nan, math.nan),
    "inf": (math.inf, math.inf),
    "-inf": (np.float64(-math.inf), -math.inf),
    "-0.0": (-0.0, -0.0),
    "-0.0 as tensor": (torch.tensor(-0.0), -0.0),
    "3": (3, 3),
    "2**63": (2**63, 2**63),
    "-2**63": (-(2**63), -(2**63)),
    "2**64, too large for an integer": (2**64, float(2**64)),
    "Decimal": (Decimal("0.5"), 0.5),
    "float16": (np.float16(0.5), 0.5),
    "int64": (np.int64(-7), -7),
    "0-d array": (np.array(2.5), 2.5),
    "0-d tensor": (torch.tensor(2), 2),
    "bfloat16": (torch.tensor(1.5, dtype=torch.bfloat16), 1.5),
    "requires grad": (torch.tensor(0.25, requires_grad=True), 0.25),
}
REFUSED = [True, np.bool_(0), "0.5", None, 1j, torch.ones(2), np.ones(2), [1.0], torch.tensor(1j)]


@pytest.fixture
def sender(host: Host) -> Iterator[Sender]:  # noqa: ARG001 - its broker ends last
    """Return a sender of this process."""
    made = Sender(ClientConfig())
    yield made
    made.close(0.5)


def report(sender: Sender, **metrics: Any) -> None:
    """Emit metrics as the user's line does."""
    fields = {"model_name": "net", "source_name": "T", "epoch": 1}
    sender.emit_metrics(MetricEvent, fields, metrics, RUN)


def test_values(sender: Sender) -> None:
    """NaN, infinities, -0.0, 2**63, Decimals, scalars and tensors arrive as they were (A26)."""
    report(sender, **{name: value for name, (value, _) in VALUES.items()})
    for refused in REFUSED:
        with pytest.raises((TypeError, ValueError), match="loss"):
            report(sender, loss=refused)
    assert sender.flush(20)
    (found,) = envelopes()
    assert isinstance(found.event, MetricEvent)
    expected = {name: value for name, (_, value) in VALUES.items()}
    # by type and sign too: repr tells 3 from 3.0, and -0.0 from 0.0
    assert {name: repr(value) for name, value in found.event.metrics.items()} == {
        name: repr(value) for name, value in expected.items()
    }


NAMES = ["\u202eltr", "nul\0nul", "x" * 10_000, "שלום/..", "a\nb;=1+1", "-"]
ODD_NAMES = """
import json, sys
from drytorch_client import Experiment
experiment = Experiment(None, name="שלום \\u202e", par_dir="out")
experiment.trackers.subscribe("csv")
refused = 0
with experiment.create_run(run_id="\\u202er") as run:
    for name in json.loads(sys.argv[1]):
        run.register_model(object(), name=name)
        run.log({name: 1.5, "and": 2}, model=name, source=name)
    for report in (
        lambda: run.log({"\\ud800": 1.0}),
        lambda: run.log({"loss": 1.0}, source="\\ud800"),
        lambda: run.log({"loss": 1.0}, source="x" * 10_001),
        lambda: run.log({"y" * 10_001: 1.0}),
        lambda: Experiment(None, name="\\ud800", par_dir="out"),
        lambda: Experiment(None, name="nul\\0", par_dir="out"),
        lambda: Experiment(None, name="x" * 10_000, par_dir="out"),
    ):
        try:
            report()
        except ValueError:
            refused += 1
print(refused)
"""


@pytest.mark.system(deadline=60)
def test_names(host: Host, tmp_path: Path) -> None:
    """Surrogates are refused; NUL, 10,000 characters and right-to-left are only names (A27)."""
    done = host.run(sys.executable, "-c", ODD_NAMES, json.dumps(NAMES))
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
    eventually(lambda: not host.workers(), 40, "the workers leave")
    assert kinds()["Metric"] == len(NAMES)
    rows: dict[str, list[str]] = {}
    for path in (tmp_path / "out" / "csv_metrics").rglob("*.csv"):
        assert path.resolve().is_relative_to(tmp_path / "out")
        with path.open(newline="", encoding="utf-8") as file:
            header, row = csv.reader(file)
        assert row[0] == row[1] == header[-2]
        assert header[:-2] == ["Model", "Source", "Epoch", "Step"]
        rows[row[0]] = row[2:]
    assert rows == {name: ["0", "0", "1.5", "2"] for name in NAMES}


JUMPS = """
import os, sys, time
from drytorch_client import Experiment
experiment = Experiment(None, name="Exp", par_dir="out")
experiment.trackers.subscribe("csv")
with experiment.create_run(run_id="r") as run:
    for number in range(400):
        if number % 100 == 0:
            with open(os.environ["CHAOS_CLOCK"], "w") as clock:
                clock.write(str((0, -3600, 3600, -7200)[number // 100]))
            time.sleep(0.25)  # the clocks of all processes look every 0.1 s
        run.log({"loss": number}, step=number)
"""


@pytest.mark.system(deadline=60)
def test_clock_jumps_back(host: Host, tmp_path: Path) -> None:
    """When clocks jump back an hour, order is that of reports, and no run is lost (A28)."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    search = Path(__file__).parents[1] / "support" / "chaos" / "clock"
    host.environment |= {"CHAOS_CLOCK": str(clock), "PYTHONPATH": str(search)}
    done = host.run(sys.executable, "-c", JUMPS)
    assert done.returncode == 0, done.stderr
    eventually(lambda: not host.workers(), 40, "the workers leave")
    found = [each for each in envelopes() if each.kind == "Metric"]
    assert [each.seq for each in found] == sorted(each.seq for each in found)
    jumps = [
        (later.time - earlier.time) / 3600e9
        for earlier, later in itertools.pairwise(found)
        if abs(later.time - earlier.time) > 10**12
    ]
    assert [round(each) for each in jumps] == [-1, 2, -3]
    assert not {"RunLost", "Loss"} & set(kinds())
    file = tmp_path / "out" / "csv_metrics" / "Exp" / "r" / "run" / "run.steps.csv"
    rows = file.read_text().splitlines()[1:]
    assert [int(row.split(",")[3]) for row in rows] == list(range(400))
    assert '"completed"' in host.drytorch("runs", "--json").stdout


#: Bytes that a burst may add to a process: the queue, 64 MiB as it counts, window, reads.
BURST_ADDS = 128 << 20


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("on_full", ["drop", "block"])
def test_a_million_events_in_a_burst(host: Host, on_full: str) -> None:
    """A million events in a burst take bounded memory, and are journaled or declared lost (A29)."""
    ended = host.finish(
        start(
            host,
            """
            emit(-1)
            assert sender.flush(20)
            def peak():
                # not ru_maxrss: that begins with what the test's own process had
                with open("/proc/self/status") as file:
                    fields = dict(line.split(":") for line in file)
                return int(fields["VmHWM"].split()[0]) * 1024
            before, begun = peak(), time.monotonic()
            for number in range(1_000_000):
                emit(number)
            took = time.monotonic() - begun
            assert sender.flush(120)
            status = sender.status()
            say(peak() - before, status.accepted, status.acknowledged, status.dropped, took)
            """,
            on_full=on_full,
            exit_wait=60.0,
        ),
        200,
    )
    assert ended.returncode == 0, ended.stderr
    added, accepted, acknowledged, dropped, _ = map(float, ended.stdout.split())
    assert accepted == 1_000_001 == acknowledged + dropped
    assert added < BURST_ADDS
    if on_full == "block":
        assert dropped == 0
    found = envelopes()
    declared = sum(each.event.count for each in found if isinstance(each.event, LossEvent))
    assert declared == dropped
    assert len(numbers()) == acknowledged
