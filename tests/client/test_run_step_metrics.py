"""`run.log` takes what users have, and refuses the rest in their line."""

from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest

from drytorch_client.experiment import Experiment
from recording import Recorded


def steps_of(recorded: Recorded) -> list[int | None]:
    """Return the steps of the metrics that were reported."""
    return [event.step for event in recorded.sender.of_kind("Metric")]


def test_a_step_of_numpy(recorded: Recorded, tmp_path: Path) -> None:
    """An integer of numpy is a step like any other, and the counter goes on behind it."""
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run() as run:
        step: Any = np.int64(9)
        run.log({"loss": 1.0}, step=step)
        run.log({"loss": 2.0})
    assert steps_of(recorded) == [9, 10]


@pytest.mark.parametrize("metrics", [[1.0], "loss", 1.0, None])
def test_what_is_no_mapping(recorded: Recorded, tmp_path: Path, metrics: Any) -> None:
    """Metrics that are no mapping are a ValidationError, and count no step."""
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run() as run:
        with pytest.raises(pydantic.ValidationError):
            run.log(metrics)
        run.log({"loss": 2.0})
    assert steps_of(recorded) == [0]
