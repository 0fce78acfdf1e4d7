"""What other ranks than 0 report reaches the trackers that ask for it, and no parity artefact."""

import dataclasses
from typing import ClassVar

from drytorch_schemas import events
from drytorch_schemas.envelope import Envelope
from drytorch_trackers import CSVDumper, MemoryTracker, YamlDumper
from feeding import Clock, MemoryJournal, Recorder, Run, engine_of


class AllRanks(Recorder):
    """Wants everything, of all ranks."""

    wants_ranks: ClassVar[bool] = True
    wants_live: ClassVar[bool] = True


class LiveOnly(Recorder):
    """Wants live events too, of rank 0 as every tracker does by default."""

    wants_live: ClassVar[bool] = True


def test_other_ranks_are_opt_in() -> None:
    """Durable and live events of rank 1 are given only where they are wanted."""
    first, second = Run(1, producer="a" * 32), Run(1, producer="b" * 32)
    second.origin = dataclasses.replace(second.origin, rank=1)
    journal = MemoryJournal([second.metric(1), first.start(), first.metric(1), second.metric(2)])
    everything, plain = AllRanks(), LiveOnly()
    engine = engine_of(everything, plain, journal=journal, clock=Clock())
    for offset, payload in enumerate(journal.payloads):
        engine.handle(offset, payload)
    progress = events.BatchProgressEvent(
        source_name="Trainer", pass_id=1, batches=1, samples=None, metrics={}, final=False
    )
    for run in (first, second):
        engine.handle_live(Envelope(run.origin, 0, 1, progress))
    ranks = [
        [each.envelope.origin.rank for each in tracker.seen] for tracker in (everything, plain)
    ]
    assert ranks == [[1, 0, 0, 1, 0, 1], [0, 0, 0]]
    assert engine.runs.all_over is False


def test_who_wants_ranks() -> None:
    """Of the trackers that come along, those that keep ranks apart want them."""
    assert (CSVDumper.wants_ranks, YamlDumper.wants_ranks, MemoryTracker.wants_ranks) == (
        *(False, True, True),
    )
