"""A training with children of every kind: `python children.py PAR_DIR`."""
import multiprocessing, os, signal, sys
from drytorch_client import Experiment


def report(run, source):
    """Report under the run that the parent has started."""
    assert Experiment.get_current().name == "Exp" and Experiment.get_config() == {"lr": 0.1}
    for step in range(50):
        run.log({"value": step}, source=source)


def own_run(par_dir, name):
    """Start a run of one's own."""
    with Experiment(None, name=name, par_dir=par_dir).create_run(run_id="own") as run:
        run.log({"value": 1.0}, source=name)


def with_loaders(trainer, method):
    """Train beside the workers of a DataLoader."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset
    data = TensorDataset(torch.arange(40.0))
    loader = DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context=method)
    for epoch in trainer.training(n_epochs=1):
        for _ in epoch.batches(loader):
            epoch.progress(loss=1.0)
        epoch.log(loss=1.0)


def main():
    import torch
    par_dir = sys.argv[1]
    experiment = Experiment({"lr": 0.1}, name="Exp", par_dir=par_dir)
    experiment.trackers.subscribe("csv")
    with experiment.create_run(run_id="r") as run:
        model = run.register_model(torch.nn.Linear(1, 1), name="net")
        trainer = run.register_actor(name="Trainer", model=model)
        children = []
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            children.append(context.Process(target=report, args=(run, method)))
            children.append(context.Process(target=own_run, args=(par_dir, f"Own-{method}")))
        for child in children:
            child.start()
        if (pid := os.fork()) == 0:
            run.log({"value": 1.0}, source="os.fork")
            os._exit(0 if run.flush(20) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        if (pid := os.fork()) == 0:
            run.log({"value": 1.0}, source="killed")
            run.flush(20)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        for method in ("fork", "spawn", "forkserver"):
            with_loaders(trainer, method)
        for child in children:
            child.join()
            assert child.exitcode == 0, child
        report(run, "parent")
    print("done")


if __name__ == "__main__":
    main()
