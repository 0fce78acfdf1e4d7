"""What reporting one event costs the training loop."""

from __future__ import annotations

import pathlib
import tempfile
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.measure import Cost, cost_of

ROUNDS = 5
#: Pause before each call in seconds, and calls in a round.
CASES = {"back to back": (0.0, 20_000), "paced at 1 ms": (0.001, 1_000)}
#: DRYTorch's tracker opens a file at each event: fewer calls tell as much.
UPSTREAM_SHARE = 10


@dataclass(frozen=True)
class Round:
    """The three costs, measured one after the other."""

    floor: Cost
    ours: Cost
    upstream: Cost

    @property
    def ratio(self) -> float:
        """Our median in units of the floor's."""
        return self.ours.median / self.floor.median

    @property
    def tail(self) -> float:
        """Our p99 in units of the floor's."""
        return self.ours.p99 / self.floor.p99


def measure() -> dict[str, list[Round]]:
    """Return all rounds of each case."""
    found: dict[str, list[Round]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        upstream = subjects.upstream(folder / "upstream")
        with subjects.ours(folder / "ours") as (report, settle):
            for case, (pause, count) in CASES.items():
                for _ in range(ROUNDS):
                    floor = cost_of(subjects.floor(), count, pause)
                    settle()
                    ours = cost_of(report, count, pause)
                    settle()
                    theirs = cost_of(upstream, count // UPSTREAM_SHARE, pause)
                    found[case].append(Round(floor, ours, theirs))
    return found


def show(found: dict[str, list[Round]]) -> None:
    """Print the best round of each case."""
    for case, rounds in found.items():
        best = min(rounds, key=lambda each: each.ratio)
        tail = min(each.tail for each in rounds)
        print(f"\none event with two metrics, {case}; best of {ROUNDS} rounds")
        print(f"{'':28}{'median us':>10} {'p99 us':>10} {'worst us':>12}")
        print(f"{'floor: event and deque':28}{best.floor}")
        print(f"{'drytorch-bus: run.emit':28}{best.ours}")
        print(f"{'DRYTorch rc11: CSV tracker':28}{best.upstream}")
        print(f"median {best.ratio:.2f} x floor, p99 {tail:.2f} x floor's p99 (best round)")
