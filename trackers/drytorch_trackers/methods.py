"""Which method of a tracker is called for which kind of event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The method for each kind of event.
METHODS: Final[Mapping[str, str]] = {
    "StartExperiment": "on_start_experiment",
    "UpdateExperiment": "on_update_experiment",
    "StopExperiment": "on_stop_experiment",
    "RunLost": "on_run_lost",
    "RunFound": "on_run_found",
    "ModelRegistration": "on_model_registration",
    "ActorRegistration": "on_actor_registration",
    "StartTraining": "on_start_training",
    "EndTraining": "on_end_training",
    "TerminatedTraining": "on_terminated_training",
    "StartEpoch": "on_start_epoch",
    "EndEpoch": "on_end_epoch",
    "StartTest": "on_start_test",
    "EndTest": "on_end_test",
    "IterateBatch": "on_iterate_batch",
    "BatchProgress": "on_batch_progress",
    "Metric": "on_metric",
    "LearningRate": "on_learning_rate",
    "SaveModel": "on_save_model",
    "LoadModel": "on_load_model",
    "Custom": "on_custom",
    "Loss": "on_loss",
    "Unknown": "on_unknown",
}
