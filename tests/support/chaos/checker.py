"""Reads only files, after a round, and proves that nothing is missing, repeated or out of order."""

import contextlib
import csv
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from chaos.rounds import SPAN, Process
from drytorch_schemas import journal_reader
from drytorch_schemas.journal_reader import Damage
from drytorch_schemas.packing import unpack
from drytorch_schemas.records import ENVELOPE

#: What `spool='async'` may lose when its process is killed; see docs/explanation/reliability.md.
KILL_BOUND_NS = 50_000_000


@dataclass
class Read:
    """What the journals of a round say, in their order.

    Attributes:
        numbers: those that each process reported, by the process's base.
        rows: the same by run and file: `Trainer` and `Steps`.
        lost: metrics declared lost, by producer.
        producers: the producer by process's base.
        damages: what cannot be read.
        sequences: sequence numbers by producer, in the order of the journals.
    """

    numbers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    lost: Counter[str] = field(default_factory=Counter)
    producers: dict[int, str] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)
    sequences: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def read(journals: list[Path]) -> Read:
    """Return what journals say.

    What the broker had on disk when it was killed, and had not acknowledged yet, its successor with
    an empty journal is given again.
    """
    found = Read()
    for place, folder in enumerate(journals):
        before = {producer: set(numbers) for producer, numbers in found.sequences.items()}
        for record in journal_reader.read(folder):
            if isinstance(record, Damage):
                found.damages.append(record)
            elif record.kind == ENVELOPE:
                wire = unpack(record.payload)
                if not place or wire["seq"] not in before.get(wire["producer"], ()):
                    _take(found, wire)
    return found


def _take(found: Read, wire: dict[str, object]) -> None:
    event = wire["event"]
    producer, kind = str(wire["producer"]), wire["kind"]
    assert isinstance(event, dict)
    if not producer.startswith("broker-"):
        found.sequences[producer].append(int(str(wire["seq"])))
    if kind == "Loss":
        found.lost[producer] += event["kinds"].get("Metric", 0)
    if kind == "Metric":
        number = event["metrics"]["n"]
        base = number // SPAN * SPAN
        found.numbers[base].append(number)
        found.rows[str(wire["run_id"]), event["source_name"]].append(number)
        found.producers[base] = producer


def faults_of(process: Process, found: Read) -> list[str]:
    """Return a sentence about everything that is wrong with one process's events."""
    wrong = []
    name = f"process {process.process.pid} of {process.run_id}"
    journaled = found.numbers.get(process.base, [])
    if journaled != sorted(set(journaled)):
        wrong.append(f"{name}: events are repeated or out of order in the journal")
    missing = sorted(set(process.accepted) - set(journaled))
    extra = set(journaled) - set(process.accepted)
    lost = found.lost[found.producers.get(process.base, "")]
    killed = process.killed_at
    if killed is not None:
        bound = 0 if process.spool == "before_return" else KILL_BOUND_NS
        missing = [each for each in missing if process.accepted[each] < killed - bound]
        missing = [each for each in missing if not _in_memory(process, each, killed)]
        extra -= {max(extra, default=0)}  # accepted, and killed before it could say so
    if len(missing) > lost:
        ages = "" if killed is None else f", accepted {_ages(process, missing, killed)} before"
        wrong.append(
            f"{name}: {len(missing)} accepted events are nowhere, {lost} of them declared lost: "
            f"{missing[:5]}{ages}"
        )
    if extra:
        wrong.append(f"{name}: the journal has {len(extra)} events that were never accepted")
    if killed is None and process.result.get("raised") != 0:
        wrong.append(f"{name}: reporting raised, or the training failed: {process.result}")
    return wrong


def _in_memory(process: Process, number: int, killed: int) -> bool:
    """Tell whether an event was accepted while the disk was full, and its process died of that."""
    accepted = process.accepted[number]
    return any(began <= accepted and killed <= ended for began, ended in process.unsafe)


def _ages(process: Process, missing: list[int], killed: int) -> str:
    return f"{(killed - process.accepted[missing[0]]) / 1e6:.0f} ms"


def faults_of_numbers(found: Read) -> list[str]:
    """Return a sentence about every producer whose sequence numbers have gaps or repetitions."""
    return [
        f"producer {producer[:8]}: sequence numbers {_first_odd(numbers)} are not contiguous"
        for producer, numbers in found.sequences.items()
        if numbers != list(range(1, len(numbers) + 1))
    ]


def _first_odd(numbers: list[int]) -> list[int]:
    place = next(at for at, each in enumerate(numbers) if each != at + 1)
    return numbers[max(place - 1, 0) : place + 3]


def faults_of_csv(par_dir: Path, found: Read, *, ordered: bool) -> list[str]:
    """Return a sentence about every CSV file that is not as the journals say it must be.

    What the rows must say is made here from the numbers, as a quiet run would have written it.
    """
    wrong = []
    for (run_id, source), numbers in found.rows.items():
        name = f"{source}.steps.csv" if source == "Steps" else f"{source}.csv"
        path = par_dir / "csv_metrics" / "Chaos" / run_id / "net" / name
        if not path.exists():
            wrong.append(f"{path} is missing")
            continue
        with path.open(newline="") as file:
            header, *rows = list(csv.reader(file))
        place = header.index("n")
        written = [int(row[place]) for row in rows]
        if (written if ordered else sorted(written)) != (numbers if ordered else sorted(numbers)):
            wrong.append(_difference(path, written, numbers))
        expected = header[:2] == ["Model", "Source"] and all(
            row[:2] == ["net", source]
            and row[place + 1 :] == (["2.0"] if source == "Trainer" else [])
            for row in rows
        )
        if not expected:
            wrong.append(f"{path} has rows that no quiet run would write")
    return wrong


def faults_of_sql(par_dir: Path, found: Read) -> list[str]:
    """Return a sentence about every source whose rows in the database are not the journals'."""
    wrong = []
    path = par_dir / "metrics.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        for (run_id, source), numbers in found.rows.items():
            table = "step_logs" if source == "Steps" else "logs"
            statement = (
                f"SELECT value FROM {table} AS l JOIN sources AS s ON l.source_id = s.row_id "  # noqa: S608 - of two names above
                "JOIN runs AS r ON s.run_table_id = r.row_id "
                "WHERE r.run_id = ? AND s.source_name = ? AND metric_name = 'n'"
            )
            written = [int(row[0]) for row in database.execute(statement, (run_id, source))]
            if sorted(written) != sorted(numbers):
                wrong.append(_difference(path, written, numbers))
    return wrong


def _difference(path: Path, written: list[int], numbers: list[int]) -> str:
    twice = [each for each, count in Counter(written).items() if count > 1]
    missing = sorted(set(numbers) - set(written))
    extra = sorted(set(written) - set(numbers))
    return (
        f"{path}: {len(written)} rows instead of {len(numbers)}; missing {missing[:5]} "
        f"({len(missing)}), twice {twice[:5]}, unknown {extra[:5]}, or in another order"
    )
