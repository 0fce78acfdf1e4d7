"""A training that goes on where it was killed: `python resumable.py PAR_DIR EPOCHS`."""
import json, os, signal, sys
import torch
from drytorch_client import Experiment
from drytorch_trackers import CSVDumper, SQLConnection

par_dir, epochs = sys.argv[1], int(sys.argv[2])
net = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
experiment = Experiment({"lr": 0.1}, name="Exp", par_dir=par_dir)
csv, sql = CSVDumper(), SQLConnection(f"sqlite:///{par_dir}/metrics.db")
experiment.trackers.subscribe(csv, sql)
resume = os.path.exists(os.path.join(par_dir, "checkpoints"))


def train(run, until):
    model = run.register_model(net, name="net", optimizer=optimizer)
    trainer = run.register_actor(name="Trainer", model=model)
    if run.resumed:
        model.load()
    start = model.epoch
    for epoch in trainer.training(until=until):
        for _ in epoch.batches([1, 2]):
            if os.environ.get("KILL_IN") == str(epoch.number):
                run.flush(20)
                os.kill(os.getpid(), signal.SIGKILL)
        with torch.no_grad():
            net.weight.fill_(epoch.number)
        epoch.log(seen=epoch.number, attempt=2 if resume else 1)
        if epoch.number % 5 == 0:
            model.save()
    return start


with experiment.create_run(resume=resume) as run:
    start = train(run, epochs)
    loaded = [each.get_current().load_metrics("net")["Trainer"] for each in (CSVDumper, SQLConnection)]
with experiment.create_run(resume=True) as again:  # in the same process, with the same objects
    assert again.id == run.id
    train(again, epochs + 2)
print(json.dumps({"start": start, "id": run.id, "loaded": loaded, "weight": net.weight.item()}))
