"""The training of `golden_rc11.py` on the bus, its arithmetic in plain Python."""
import os
from drytorch_client import Experiment, init_trackers
from drytorch_schemas import events
MODE = os.environ["MODE"]


class Loader:
    def __init__(self, number, drop_last=False):
        self.dataset, self.batch_size = range(number), 4
        self.length = number // 4 if drop_last else -(-number // 4)
    def __len__(self):
        return self.length
    def __iter__(self):
        return iter(range(self.length))


def evaluate(check, loader, name, value):
    for _ in check.batches(loader):
        check.progress(**{name: value})
    check.log(**{name: value})


def train(par_dir):
    init_trackers(MODE)
    experiment = Experiment(None, name="Golden", par_dir=par_dir, exit_wait=40)
    with experiment.create_run(run_id="r") as run:
        model = run.register_model(object(), name="net")
        trainer = run.register_actor(name="Trainer", model=model)
        validator = run.register_actor(name="Validation", model=model)
        tester = run.register_actor(name="Test", model=model)
        w, rate = 1.0, 0.125
        def epochs(number):
            nonlocal w
            for epoch in trainer.training(n_epochs=number):
                losses = []
                for _ in epoch.batches(Loader(18, drop_last=True)):
                    losses.append(w)
                    epoch.progress(Loss=sum(losses) / len(losses))
                    w -= rate
                epoch.log(Loss=sum(losses) / len(losses))
                with validator.validation() as check:
                    evaluate(check, Loader(6), "Loss", w)
                yield epoch
        for _ in epochs(3):
            pass
        with tester.testing() as check:
            evaluate(check, Loader(8), "Double", 2 * w)
        rate = 0.0625
        trainer_rate = events.LearningRateEvent(model_name="net", source_name="Trainer", epoch=3, base_lr=rate)
        run.emit(trainer_rate)
        where = {"model_name": "net", "definition": "checkpoint", "epoch": 3}
        where["location"] = os.path.join(par_dir, "checkpoints", "Golden", "r", "net", "epoch_3")
        run.emit(events.SaveModelEvent(**where))
        run.emit(events.LoadModelEvent(**where))
        for _ in epochs(2):
            trainer.terminate("enough")


if __name__ == "__main__":
    if MODE == "hydra":
        import hydra
        hydra.main(version_base=None, config_path=None)(lambda config: train(os.environ["PAR_DIR"]))()
    else:
        train(os.environ["PAR_DIR"])
