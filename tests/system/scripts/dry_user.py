"""A training of DRYTorch's as a user writes it, with the bridge added: `OTHER=folder python dry_user.py`."""
import os, pathlib, sys
import drytorch, sqlalchemy, torch
from drytorch import DataLoader, Experiment, LearningSchema, Loss, Model, Trainer
from drytorch.trackers.csv import CSVDumper
from drytorch.trackers.sqlalchemy import SQLConnection
from drytorch_trackers.dry_bridge import BusTracker
from contract_bridge import ElsewhereBus

torch.set_num_threads(1)
drytorch.extend_default_trackers([BusTracker()])
data = torch.utils.data.TensorDataset(torch.rand(8, 1), torch.rand(8, 1))

def train(name, epochs):
    model = Model(torch.nn.Linear(1, 1), name=f"{name} net", should_compile=False)
    loss = Loss(torch.nn.functional.mse_loss, name="MSE")
    schema = LearningSchema.sgd(base_lr=0.1)
    trainer = Trainer(model, name=f"{name} trainer", loader=DataLoader(data, 4), loss=loss, learning_schema=schema)
    trainer.train(epochs)

experiment = Experiment({"lr": 0.1}, name="First", par_dir="first")
with experiment.create_run(run_id="r"):
    train("first", 2)

theirs = pathlib.Path("theirs")
theirs.mkdir()
experiment = Experiment({"rates": list(range(20))}, name="Second", par_dir="second", tags=["a"])
engine = sqlalchemy.create_engine("sqlite:///theirs/metrics.db")
experiment.trackers.subscribe(CSVDumper(theirs), SQLConnection(engine), ElsewhereBus())
with experiment.create_run(run_id="r"):
    train("second", 3)

run = experiment.create_run(run_id="never stopped")
run.start()
train("third", 1)
raise SystemError("the script ends here")
