"""Feed a YAML tracker in a process that a failpoint may kill: `yaml_child.py PAR_DIR FIRST`."""

import sys
from pathlib import Path

from deliveries import RUN_ID, RUN_TS, deliver, start
from drytorch_schemas.events import (
    ActorRegistrationEvent,
    Event,
    ModelRegistrationEvent,
    StopExperimentEvent,
    UpdateExperimentEvent,
)
from drytorch_trackers import TrackerContext, YamlDumper


def model(name: str = "net", architecture: str = "Net(\n  (0): A()\n)") -> Event:
    """Return a model's registration."""
    return ModelRegistrationEvent(model_name=name, model_ts=RUN_TS, architecture_repr=architecture)


def actor(name: str, model_name: str = "net", **metadata: object) -> Event:
    """Return a source's registration."""
    return ActorRegistrationEvent(
        actor_name=name,
        actor_ts=RUN_TS,
        model_name=model_name,
        model_ts=RUN_TS,
        metadata=metadata,
    )


def stop(**summary: object) -> Event:
    """Return the end of a run."""
    return StopExperimentEvent(exp_name="Exp", run_id=RUN_ID, summary=summary)


#: Every kind of file, one of them written twice.
EVENTS: list[Event] = [
    start(config={"lr": 0.1, "steps": [1, 2, {"!omitted": 7}, 9]}),
    model(),
    actor("Trainer", epochs=3),
    UpdateExperimentEvent(config={"lr": 0.1, "seed": 1}, tags=["first"]),
    actor("Test"),
    UpdateExperimentEvent(config={"lr": 0.1, "seed": 2}, tags=["first", "second"]),
    model("gan", "Gan()"),
    stop(best=0.5),
]
#: Events between two flushes.
BATCH = 3


def feed_from(par_dir: Path, first: int) -> None:
    """Handle the events from one on, and note after each flush where to go on."""
    tracker = YamlDumper()
    tracker.setup(TrackerContext(par_dir, "worker"))
    for number, delivery in enumerate(deliver(EVENTS)):
        # also what came before: a worker is given the run's context again
        tracker.handle(delivery)
        if number >= first and number % BATCH == BATCH - 1:
            tracker.flush()
            (par_dir / "cursor").write_text(str(number + 1))
    tracker.clean_up()


if __name__ == "__main__":
    feed_from(Path(sys.argv[1]), int(sys.argv[2]))
