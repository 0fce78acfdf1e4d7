"""Train a small convolutional network on scikit-learn's handwritten digits, tracked from outside.

Needs no download: the 1,797 images of 8 x 8 pixels come with scikit-learn. Run it with

    python examples/digits.py [--epochs N] [--par-dir DIR]

The training only reports events. Console, progress bar and CSV run in processes of their own; kill
one of them, or the broker, and the training does not notice.
"""

import argparse
import pathlib

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from drytorch_client import Evaluation, Experiment
from drytorch_trackers import CSVDumper


def make_loaders(batch_size: int) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return loaders for training, validation and test."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    seeded = torch.Generator().manual_seed(0)
    parts = random_split(TensorDataset(images, labels), [0.7, 0.15, 0.15], generator=seeded)
    train, valid, test = parts
    return (
        DataLoader(train, batch_size, shuffle=True, generator=seeded),
        DataLoader(valid, batch_size),
        DataLoader(test, batch_size),
    )


def make_net() -> nn.Module:
    """Return a network of two convolutions and one linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


class Averages:
    """Mean loss and accuracy over the samples of one pass."""

    def __init__(self) -> None:
        self.loss = self.correct = 0.0
        self.samples = 0

    def add(self, loss: torch.Tensor, outputs: torch.Tensor, labels: torch.Tensor) -> None:
        """Add one batch."""
        self.loss += loss.item() * len(labels)
        self.correct += (outputs.argmax(1) == labels).sum().item()
        self.samples += len(labels)

    def compute(self) -> dict[str, float]:
        """Return the means so far."""
        return {"loss": self.loss / self.samples, "accuracy": self.correct / self.samples}


@torch.no_grad()
def evaluate(net: nn.Module, loader: DataLoader, evaluation: Evaluation) -> dict[str, float]:
    """Run one validation or test pass and report its averages."""
    net.eval()
    averages = Averages()
    for images, labels in evaluation.batches(loader):
        outputs = net(images)
        averages.add(nn.functional.cross_entropy(outputs, labels), outputs, labels)
        evaluation.progress(**averages.compute())
    evaluation.log(**averages.compute())
    return averages.compute()


def main() -> None:
    """Train, validate after every epoch, and test once at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, help="epochs to train (default: 10)")
    parser.add_argument(
        "--par-dir", type=pathlib.Path, default="experiments", help="results folder"
    )
    args = parser.parse_args()

    config = {"lr": 1e-3, "batch_size": 32, "epochs": args.epochs}
    torch.manual_seed(0)
    train_loader, valid_loader, test_loader = make_loaders(config["batch_size"])
    net = make_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=config["lr"])

    experiment = Experiment(config, name="Digits", par_dir=args.par_dir, tags=["lr=0.001"])
    experiment.trackers.subscribe(CSVDumper())
    with experiment.create_run() as run:
        model = run.register_model(net, name="net", optimizer=optimizer)
        trainer = run.register_actor(name="Trainer", model=model, metadata=config)
        validator = run.register_actor(name="Validator", model=model)
        tester = run.register_actor(name="Tester", model=model)

        for epoch in trainer.training(n_epochs=args.epochs):
            net.train()
            averages = Averages()
            for images, labels in epoch.batches(train_loader):
                outputs = net(images)
                loss = nn.functional.cross_entropy(outputs, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                averages.add(loss.detach(), outputs, labels)
                epoch.progress(**averages.compute())
            epoch.log(**averages.compute())
            with validator.validation() as check:
                evaluate(net, valid_loader, check)

        model.save()
        with tester.testing() as test:
            result = evaluate(net, test_loader, test)

    print(f"Test accuracy: {result['accuracy']:.4f}")


if __name__ == "__main__":
    main()
