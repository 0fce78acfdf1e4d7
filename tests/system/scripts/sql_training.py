"""A training into a database whose URL is in a file: `python sql_training.py URL_FILE PAUSE_FILE`."""
import pathlib, sys, time
import sqlalchemy
from drytorch_client import Experiment
from drytorch_trackers import SQLConnection

url = pathlib.Path(sys.argv[1]).read_text()
experiment = Experiment(None, name="Exp", par_dir="out", tags=["a"])
experiment.trackers.subscribe(SQLConnection(sqlalchemy.create_engine(url)))
with experiment.create_run(run_id="r") as run:
    model = run.register_model(object(), name="net")
    trainer = run.register_actor(name="Trainer", model=model)
    for epoch in trainer.training(n_epochs=6):
        for _ in epoch.batches([1]):
            pass
        epoch.log(loss=1 / epoch.number, nan=float("nan"))
        run.log({"hours": 0.5})
        if epoch.number == 3:
            print(SQLConnection.get_current().load_metrics("net")["Trainer"][0], flush=True)
            pathlib.Path(sys.argv[2]).write_text("")
            while pathlib.Path(sys.argv[2]).exists():
                time.sleep(0.02)
