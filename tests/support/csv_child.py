"""Feed a CSV tracker in a process that a failpoint may kill: `csv_child.py PAR_DIR FIRST`."""

import sys
from pathlib import Path

from deliveries import deliver, metric, start, stop
from drytorch_schemas.events import Event
from drytorch_trackers import CSVDumper, TrackerContext

#: Rows, a column that comes late twice, steps, and a second source.
EVENTS: list[Event] = [
    start(),
    metric(1, loss=0.5, n=1),
    metric(1, "Test", loss=0.25),
    metric(2, loss=0.125, n=2),
    metric(2, step=7, lr=1e-3),
    metric(3, loss=float("nan"), n=3, late=1.0),
    metric(3, "Test", loss=1.0),
    metric(4, loss=1.0, n=4, late=2.0),
    metric(5, n=5, later=3.0),
    metric(2, step=8, lr=1e-3, gpu=3),
    metric(6, loss=2.0, n=6),
    stop(),
]
#: Events between two flushes.
BATCH = 3


def feed_from(par_dir: Path, first: int) -> int:
    """Handle the events from one on, flush now and then, and return where to go on."""
    tracker = CSVDumper()
    tracker.setup(TrackerContext(par_dir, "worker"))
    for number, delivery in enumerate(deliver(EVENTS)):
        if number < first:
            continue
        tracker.handle(delivery)
        if number % BATCH == BATCH - 1:
            tracker.flush()
            (par_dir / "cursor").write_text(str(number + 1))
    tracker.flush()
    tracker.clean_up()
    return len(EVENTS)


if __name__ == "__main__":
    feed_from(Path(sys.argv[1]), int(sys.argv[2]))
