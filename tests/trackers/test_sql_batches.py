"""In whatever batches events are written, the rows are the same."""

import datetime
from dataclasses import replace
from pathlib import Path

from deliveries import RUN_TS, deliver, feed, metric, origin, start, stop
from drytorch_schemas import events
from drytorch_trackers import Delivery, SQLConnection, TrackerContext
from sql_rows import dump

LATER = RUN_TS + datetime.timedelta(hours=1)


def model(made: datetime.datetime) -> events.ModelRegistrationEvent:
    """Return the registration of a model."""
    return events.ModelRegistrationEvent(model_name="net", model_ts=made, architecture_repr="net")


def rows(
    folder: Path, deliveries: list[Delivery], size: int
) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows that a tracker writes which flushes after so many events."""
    folder.mkdir()
    url = f"sqlite:///{folder}/metrics.db"
    tracker = SQLConnection(url)
    tracker.setup(TrackerContext(folder, "worker"))
    for number, delivery in enumerate(deliveries, 1):
        tracker.handle(delivery)
        if number % size == 0:
            tracker.flush()
    tracker.clean_up()
    return dump(url)


def test_model_made_after_a_source_has_logged(tmp_path: Path) -> None:
    """A source that was never registered has the time of the model as it was when it logged."""
    happened = [
        start(),
        metric(1, "early", loss=1),
        model(RUN_TS + datetime.timedelta(minutes=1)),
        metric(1, "first", loss=1),
        model(LATER),
        metric(1, "second", loss=1),
        stop(),
    ]
    written = [rows(tmp_path / str(size), deliver(happened), size) for size in (1, 100)]
    assert written[0] == written[1]
    times = {row[3]: row[2] for row in written[0]["sources"]}
    assert times == {
        "early": RUN_TS,
        "first": RUN_TS + datetime.timedelta(minutes=1),
        "second": LATER,
    }


def test_child_that_outlives_a_start(tmp_path: Path) -> None:
    """What a child logs after its run was resumed is of that start, restarted worker or not."""
    parent, child = origin(), origin(producer="child")
    begun = deliver([start(), metric(1, loss=1)], parent)
    resumed = deliver([stop(), start(resumed=True, run_ts=LATER)], parent, first=3)
    one, two = deliver([metric(1, "child", loss=1), metric(2, "child", loss=2)], child)
    happened = [*begun, one, *resumed, two]
    for number, delivery in enumerate(happened):
        happened[number] = replace(delivery, offset=number)
    whole = rows(tmp_path / "whole", happened, 1)
    assert [row[5] for row in whole["sources"] if row[3] == "child"] == [1, 2]
    url = f"sqlite:///{tmp_path}/metrics.db"
    for delivery in happened:
        feed(SQLConnection(url), [delivery], tmp_path)
    assert dump(url) == whole
