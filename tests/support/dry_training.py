"""Real trainings of DRYTorch's, with its own trackers and ours on the same runs.

`python dry_training.py FOLDER SCENARIO...`, one after another in one process. DRYTorch's trackers
write under `FOLDER/<experiment>/theirs` and print to `FOLDER/<experiment>/theirs.txt`; ours write
under `FOLDER/<experiment>/ours` and print to stdout, behind a line that names the experiment.
"""

import contextlib
import dataclasses
import pathlib
import sys
import warnings
from collections.abc import Callable
from typing import Any, TextIO

import drytorch
import sqlalchemy
import torch
from drytorch import DataLoader, Diagnostic, Experiment, LearningSchema, Loss, Metric, Model, Test
from drytorch import Trainer as DryTrainer
from drytorch.core import exceptions
from drytorch.core import tracking as dry_tracking
from drytorch.lib import hooks, schedulers
from drytorch.trackers import csv, tqdm, yaml
from drytorch.trackers import logging as console
from drytorch.trackers import sqlalchemy as sql
from torch.nn import functional

from drytorch_trackers import BuiltinLogger, SQLConnection, TqdmLogger
from drytorch_trackers.dry_bridge import BusTracker

FLAG = "SCENARIO "
EVERY_LINE = 1


class Line(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Points on a line."""

    def __init__(self, count: int, factor: float = 2.0) -> None:
        self.x = torch.arange(count, dtype=torch.float).reshape(-1, 1) / count
        self.y = factor * self.x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[index], self.y[index]


@dataclasses.dataclass
class Config:
    """A configuration with what a representation does something about."""

    rates: list[float] = dataclasses.field(default_factory=lambda: [0.5**n for n in range(20)])
    names: tuple[str, ...] = ("short", "a name that is longer than ten characters")
    kinds: set[int] = dataclasses.field(default_factory=lambda: set(range(15)))
    table: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {f"key {n}": {"n": n, "none": None} for n in range(12)}
    )
    weights: torch.Tensor = dataclasses.field(default_factory=lambda: torch.arange(20.0))
    activation: Any = functional.relu
    text: str = "several\nlines: {with} 'quotes' # and more\n"
    inner: Any = None
    shared: Any = None


def config() -> Config:
    """Return a configuration that holds one object twice."""
    made = Config()
    made.inner = made.shared = Config(rates=[1.0])
    return made


# ---- what a training consists of


def net(name: str) -> Any:
    """Return a registered model; the compiler is not loaded, which takes seconds."""
    return Model(torch.nn.Linear(1, 1), name=name, should_compile=False)


def parts(model: Any, prefix: str = "") -> tuple[Any, Any, Any]:
    """Return a trainer with a validation, its loss and a loader for tests."""
    both = Loss(functional.mse_loss, name="MSE") + 0.5 * Loss(functional.l1_loss, name="MAE")
    trainer = DryTrainer(
        model,
        name=f"{prefix}Trainer",
        loader=DataLoader(Line(10), 4),
        loss=both,
        learning_schema=LearningSchema.adam(base_lr=0.1, scheduler=schedulers.CosineScheduler()),
    )
    loader = DataLoader(Line(6), 4)
    trainer.add_validation(loader, name=f"{prefix}Validation")
    return trainer, both, loader


def whole(experiment: Any) -> None:
    """Train two models, save, load, change rates, test, look closer; one training stops early."""
    with experiment.create_run(run_id="2025-08-01@12h54m21s"):
        model = net("net")
        trainer, loss, loader = parts(model)
        trainer.post_epoch_hooks.register(hooks.saving_hook)
        trainer.train(3)
        trainer.load_checkpoint(2)
        trainer.update_learning_rate(0.01, schedulers.ConstantScheduler())
        trainer.update_learning_rate(scheduler=schedulers.ExponentialScheduler(0.5))
        trainer.train_until(4)
        second = net("other net, of a longer name")
        early, _, _ = parts(second, "Early ")
        early.post_epoch_hooks.register(hooks.EarlyStoppingCallback(min_delta=1e9, patience=1))
        early.train(100)
        test = Test(model, name="Test", loader=loader, metric=loss)
        test()
        test()
        Diagnostic(second, name="Diagnostic", loader=loader, objective=loss)()


def failing(experiment: Any) -> None:
    """Report odd names and values, resume with the same objects, and end with a NaN as loss.

    DRYTorch's SQLConnection gives up at the first NaN. What is used again in the resumed run is not
    registered again there.
    """
    kept = []
    with experiment.create_run(run_id="odd run"):
        model = net("réseau")
        trainer, _, _ = parts(model, "Diverging ")
        trainer.train(1)
        fine = Metric(functional.l1_loss, name='MAE "x", %s')
        nan: Any = Metric(lambda _out, _target: torch.tensor(float("nan")), name="NaN")
        infinite: Any = Metric(lambda _out, _target: torch.tensor(float("-inf")), name="Infinity")
        loader = DataLoader(Line(3), 1)
        for number, metric in enumerate((fine, fine | infinite, fine | nan, fine)):
            test = Test(model, name=f"Test {number}", loader=loader, metric=metric)
            kept.append(test)  # another one at its address would not be registered
            test()
    with contextlib.suppress(exceptions.ConvergenceError), experiment.create_run(resume=True):
        trainer.train(1)
        with torch.no_grad():
            next(model.module.parameters()).fill_(float("nan"))
        trainer.train(2)


def after(experiment: Any) -> None:
    """Resume the whole run in another process, from a checkpoint, in the same artefacts."""
    with experiment.create_run(resume=True):
        trainer, loss, loader = parts(net("net"))
        trainer.load_checkpoint(2)
        trainer.train(2)
        Test(trainer.model, name="Test", loader=loader, metric=loss)()


SCENARIOS: dict[str, Callable[[Any], None]] = {
    each.__name__: each for each in (whole, failing, after)
}
#: Experiments that are not named after their scenario.
TITLES = {"after": "whole"}


# ---- both sides


def their_trackers(par_dir: pathlib.Path, stream: TextIO) -> list[Any]:
    """Return DRYTorch's own trackers, whose console prints to a stream of its own."""
    console.enable_default_handler(stream)
    console.set_verbosity(EVERY_LINE)
    engine = sqlalchemy.create_engine(f"sqlite:///{par_dir}/metrics.db")
    return [
        console.BuiltinLogger(),
        tqdm.TqdmLogger(file=stream),
        csv.CSVDumper(),
        yaml.YamlDumper(),
        sql.SQLConnection(engine),
    ]


def our_trackers(par_dir: pathlib.Path) -> list[Any]:
    """Return ours, whose console prints to stdout."""
    return [
        BuiltinLogger(stream="stdout", verbosity=EVERY_LINE),
        TqdmLogger(file="stdout"),
        "csv",
        "yaml",
        SQLConnection(f"sqlite:///{par_dir}/metrics.db"),
    ]


def play(parent: pathlib.Path, name: str) -> None:
    """Run one scenario."""
    title = TITLES.get(name, name)
    folder = parent / title
    theirs, ours = folder / "theirs", folder / "ours"
    theirs.mkdir(parents=True, exist_ok=True)
    ours.mkdir(exist_ok=True)
    sys.stdout.write(f"{FLAG}{title}\n")
    sys.stdout.flush()
    # a file, since bars are drawn in ASCII where a stream has no encoding
    with (folder / "theirs.txt").open("a", newline="", encoding="utf-8") as stream:
        bus = BusTracker(our_trackers(ours), par_dir=ours, exit_wait=60.0)
        experiment = Experiment(config(), name=title, par_dir=theirs, tags=["lr=0.1", "b"])
        experiment.trackers.subscribe(*their_trackers(theirs, stream), bus)
        SCENARIOS[name](experiment)
        dropped = {"CSVDumper", "YamlDumper"} - set(experiment.trackers.named_trackers)
        assert not dropped, dropped
        assert "BusTracker" in experiment.trackers.named_trackers


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    drytorch.remove_all_default_trackers()
    warnings.filterwarnings("ignore", category=exceptions.TrackerExceptionWarning)
    warnings.filterwarnings("error", message=".*cannot forward.*")
    assert dry_tracking.DEFAULT_TRACKERS == {}
    for each in sys.argv[2:]:
        play(pathlib.Path(sys.argv[1]), each)
