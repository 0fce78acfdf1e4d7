"""Feed a SQL tracker in a process that a failpoint may kill: `sql_child.py FOLDER FIRST`.

The database's URL is in the environment, since it holds a password.
"""

import os
import sys
from pathlib import Path

from deliveries import deliver, metric, start, stop
from drytorch_schemas import events
from drytorch_trackers import SQLConnection, TrackerContext

#: Names the database.
VARIABLE = "TEST_DATABASE"
#: A registered source and others, passes and steps, tags that come late, and a resumed run.
EVENTS: list[events.Event] = [
    start(tags=["a"]),
    metric(1, loss=0.5, n=1),
    metric(1, "Test", loss=float("nan")),
    metric(2, loss=0.125, n=2),
    metric(2, step=7, lr=1e-3),
    events.UpdateExperimentEvent(config=None, tags=["a", "b"]),
    metric(3, loss=1.0, late=1.0),
    start(tags=["a", "b"], resumed=True),
    metric(3, loss=2.0, n=3),
    metric(3, "Test", loss=1.0),
    metric(4, step=8, lr=1e-3),
    stop(),
]
#: Events between two flushes.
BATCH = 3


def feed_from(url: str, folder: Path, first: int) -> None:
    """Handle the events from one on, and keep a cursor after each flush, as a worker does."""
    tracker = SQLConnection(url)
    tracker.setup(TrackerContext(folder, "worker"))
    for number, delivery in enumerate(deliver(EVENTS)):
        if number >= first:
            tracker.handle(delivery)
            if number % BATCH == BATCH - 1:
                tracker.flush()
                (folder / "cursor").write_text(str(number + 1))
    tracker.flush()
    tracker.clean_up()


if __name__ == "__main__":
    feed_from(os.environ[VARIABLE], Path(sys.argv[1]), int(sys.argv[2]))
