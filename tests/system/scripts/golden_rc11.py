"""The training of the golden console, by DRYTorch itself: `python golden_rc11.py PAR_DIR [hydra options]`."""
import os, sys
import torch
MODE = os.environ["MODE"]
if MODE != "hydra":
    os.environ["DRYTORCH_INIT_MODE"] = MODE


class Ones(torch.utils.data.Dataset):
    def __init__(self, number):
        self.number = number
    def __len__(self):
        return self.number
    def __getitem__(self, index):
        return torch.ones(1), torch.zeros(1)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(1))
    def forward(self, x):
        return x * self.w


def train(par_dir):
    import drytorch
    if MODE == "hydra":
        drytorch.init_trackers("hydra")
    from drytorch import DataLoader, Experiment, LearningSchema, Loss, Metric, Model, Test, Trainer
    experiment = Experiment(None, name="Golden", par_dir=par_dir)
    with experiment.create_run(run_id="r"):
        model = Model(Net(), name="net")
        loss = Loss(lambda out, target: (out - target).mean(), "Loss")
        double = Metric(lambda out, target: 2 * (out - target).mean(), "Double", higher_is_better=False)
        schema = LearningSchema.sgd(base_lr=0.125)
        trainer = Trainer(model, name="Trainer", loader=DataLoader(Ones(18), batch_size=4), loss=loss, learning_schema=schema)
        trainer.add_validation(DataLoader(Ones(6), batch_size=4))
        trainer.train(3)
        Test(model, name="Test", loader=DataLoader(Ones(8), batch_size=4), metric=double)()
        trainer.update_learning_rate(0.0625)
        trainer.save_checkpoint()
        trainer.load_checkpoint()
        trainer.post_epoch_hooks.register(lambda trainer: trainer.terminate_training("enough"))
        trainer.train(2)


if __name__ == "__main__":
    if MODE == "hydra":
        import hydra
        hydra.main(version_base=None, config_path=None)(lambda config: train(os.environ["PAR_DIR"]))()
    else:
        train(os.environ["PAR_DIR"])
