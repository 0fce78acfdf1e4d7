"""Runs as lists of [class name, fields] that DRYTorch's events and ours can both be made from."""

import copy
import datetime
import pathlib
import re
from typing import Any

from deliveries import RUN_ID

Run = list[tuple[str, dict[str, Any]]]
TS = "2025-08-01T12:54:21"
CLOCK = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]")


def typed(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with times and paths as such."""
    for key in ("run_ts", "model_ts", "actor_ts"):
        if key in fields:
            fields[key] = datetime.datetime.fromisoformat(fields[key])
    if "par_dir" in fields:
        fields["par_dir"] = pathlib.Path(fields["par_dir"])
    return fields


def without_clock(text: str) -> str:
    """Return console output with its times replaced."""
    return CLOCK.sub("[time]", text)


def with_run_id(run: Run, run_id: str) -> Run:
    """Return a run under another id."""
    run = copy.deepcopy(run)
    for _, fields in run:
        if "run_id" in fields:
            fields["run_id"] = run_id
    return run


def _start(*, resumed: bool = False, run_id: str = RUN_ID) -> tuple[str, dict[str, Any]]:
    fields = {"config": None, "exp_name": "Exp", "run_ts": TS, "run_id": run_id, "resumed": resumed}
    return "StartExperimentEvent", fields


def _stop(run_id: str = RUN_ID) -> tuple[str, dict[str, Any]]:
    return "StopExperimentEvent", {"exp_name": "Exp", "run_id": run_id}


def _of(source: str, model: str = "net", **fields: Any) -> dict[str, Any]:
    return {"source_name": source, "model_name": model, **fields}


def _pass(
    source: str,
    epoch: int,
    values: list[dict[str, float]],
    *,
    model: str = "net",
    batch_size: int | None = 4,
    dataset_size: int = 10,
) -> Run:
    n_iter = len(values)
    size = {"batch_size": batch_size, "n_iter": n_iter, "dataset_size": dataset_size}
    run: Run = [("IterateBatchEvent", {"source_name": source, **size})]
    for batch, metrics in enumerate(values, 1):
        seen = None if batch_size is None else min(batch * batch_size, dataset_size)
        progress = {"source_name": source, "pass_id": 0, "batches": batch, "samples": seen}
        final = {"metrics": metrics, "final": batch == n_iter}
        run.append(("BatchProgressEvent", progress | final))
    run.append(("MetricEvent", _of(source, model, epoch=epoch, metrics=values[-1])))
    return run


def _actor(name: str, model: str = "net") -> tuple[str, dict[str, Any]]:
    fields = {"actor_name": name, "actor_ts": TS, "model_name": model, "model_ts": TS}
    return "ActorRegistrationEvent", {**fields, "metadata": {}}


def _model(name: str = "net") -> tuple[str, dict[str, Any]]:
    return "ModelRegistrationEvent", {
        "model_name": name,
        "model_ts": TS,
        "architecture_repr": "Net()",
    }


def _epoch(number: int, end: int | None, values: list[dict[str, float]]) -> Run:
    return [
        ("StartEpochEvent", _of("Trainer", epoch=number, end_epoch=end)),
        *([_actor("Trainer")] if number == 1 else []),
        *_pass("Trainer", number, values),
        *_pass("Validation", number, [{"loss": 0.75}], batch_size=None),
        ("EndEpochEvent", _of("Trainer", epoch=number)),
    ]


def _training(start: int, end: int, values: list[list[dict[str, float]]]) -> Run:
    fields = _of("Trainer", start_epoch=start, end_epoch=end)
    run: Run = [("StartTrainingEvent", fields)]
    for number, each in enumerate(values, start + 1):
        run += _epoch(number, end, each)
    return run


def _values(loss: float, accuracy: float) -> list[dict[str, float]]:
    return [{"loss": 2 * loss, "accuracy": 0.0}] * 2 + [{"loss": loss, "accuracy": accuracy}]


_LEARNING: Run = [
    ("LearningRateEvent", _of("Trainer", epoch=2, base_lr=1e-3)),
    ("LearningRateEvent", _of("Trainer", epoch=2, scheduler_name="Cosine(t=3)")),
    ("LearningRateEvent", _of("Hook", epoch=2, base_lr={"a": 0.1, "b": 1.0}, scheduler_name="S")),
    ("LearningRateEvent", _of("Hook", epoch=2)),
]


def _checkpoint(kind: str) -> tuple[str, dict[str, Any]]:
    where = {"definition": "checkpoint", "location": "some/where/epoch_2", "epoch": 2}
    return kind, {"model_name": "net", **where}


TRAINING: Run = [
    _start(),
    _model(),
    *_training(0, 3, [_values(1.5, 0.25), _values(0.5, 0.5), _values(0.375, 0.75)]),
    ("EndTrainingEvent", {"source_name": "Trainer"}),
    *_LEARNING,
    _checkpoint("SaveModelEvent"),
    _checkpoint("LoadModelEvent"),
    ("StartTestEvent", _of("Test")),
    _actor("Test"),
    *_pass("Test", 3, [{"loss": 0.4, "accuracy": 0.7}] * 2, dataset_size=8),
    ("EndTestEvent", _of("Test")),
    _stop(),
]

RESUMED: Run = [
    _start(resumed=True),
    _model(),
    *_training(1, 3, [_values(0.25, 0.5), _values(0.125, 1.0)]),
    ("EndTrainingEvent", {"source_name": "Trainer"}),
    _stop(),
]

EARLY_STOP: Run = [
    _start(),
    _model(),
    *_training(0, 100, [_values(1.5, 0.25)])[:-1],
    ("TerminatedTrainingEvent", _of("Hook", epoch=1, reason="no progress")),
    ("EndEpochEvent", _of("Trainer", epoch=1)),
    ("EndTrainingEvent", {"source_name": "Trainer"}),
    _stop(),
]

ODD: Run = [
    _start(),
    _model("réseau 模型"),
    ("StartTrainingEvent", _of("Trainer", "réseau 模型", start_epoch=0, end_epoch=1)),
    ("StartEpochEvent", _of("Trainer", "réseau 模型", epoch=1)),
    *_pass("Trainer = {x}", 1, [{'F1 "macro", %': 1.0, "{loss}": 2}], model="réseau 模型"),
    *_pass("a source of a long name", 1, [{"اختبار": 0.5}], model="réseau 模型"),
    ("EndEpochEvent", _of("Trainer", "réseau 模型", epoch=1)),
    ("EndTrainingEvent", {"source_name": "Trainer"}),
    _stop(),
]

_NUMBERS: list[float] = [1, -0.0, 1e300, 5e-324, 0.1 + 0.2, 2**62, float("nan"), float("-inf")]

VALUES: Run = [
    _start(),
    *(
        ("MetricEvent", _of(source, model, epoch=epoch, metrics={"a": value, 'b "q", \n': 1.0}))
        for model, source in (("net", "Trainer"), ("net", "Test_1"), ("other net", "Test_2"))
        for epoch, value in enumerate(_NUMBERS, 1)
    ),
    _stop(),
]
