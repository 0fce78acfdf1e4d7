"""A short training with a console, bars and a CSV: `python short.py EPOCHS PAUSE`. Files tell how far it is."""
import os, sys, time
from drytorch_client import Experiment
experiment = Experiment(None, name="Exp", par_dir="out", exit_wait=float(os.environ.get("EXIT_WAIT", "40")))
experiment.trackers.subscribe("csv")
with experiment.create_run(run_id="r") as run:
    trainer = run.register_actor(name="T", model=run.register_model(object(), name="net"))
    open("training", "w").close()
    for epoch in trainer.training(n_epochs=int(sys.argv[1])):
        for _ in epoch.batches([1, 2, 3]):
            time.sleep(float(sys.argv[2]))
            epoch.progress(loss=0.5)
        epoch.log(loss=0.5)
        open("logged", "w").close()
open("ended", "w").close()
