"""Two trainings on several ranks: `torchrun --nproc-per-node 2 ranks.py PAR_DIR [RANK TO KILL]`."""
import os, signal, sys
import torch
import torch.distributed as dist
from drytorch_client import Experiment

EPOCHS = 20
par_dir, victim = sys.argv[1], sys.argv[2:]
rank = int(os.environ["RANK"])
muted = Experiment({"lr": 0.1}, name="Muted", par_dir=par_dir)  # before there is a process group
dist.init_process_group("gloo")
everybody = Experiment({"lr": 0.1}, name="All", par_dir=par_dir, ranks="all")
for experiment in (muted, everybody):
    experiment.trackers.remove_all()
    experiment.trackers.subscribe("csv")
    with experiment.create_run() as run:
        torch.manual_seed(rank)
        net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))
        model = run.register_model(net, name="net")
        trainer = run.register_actor(name="Trainer", model=model)
        for epoch in trainer.training(n_epochs=EPOCHS):
            loss = net(torch.ones(1, 1)).sum()
            loss.backward()
            if victim == [str(rank)] and epoch.number == 10:
                run.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            epoch.log(rank=rank, epoch=epoch.number)
        with torch.no_grad():
            net.module.weight.fill_(3.0)
        model.save()
        with torch.no_grad():
            net.module.weight.fill_(0.0)
        model.load()
        assert net.module.weight.item() == 3.0
        run.log({"rank": rank})
if rank == 0:  # as scripts for other loggers do
    with Experiment(None, name="Alone", par_dir=par_dir).create_run() as run:
        run.log({"rank": rank})
dist.destroy_process_group()
print(f"RANK {rank} done", flush=True)
