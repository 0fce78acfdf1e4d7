"""Save or load a checkpoint with DRYTorch itself: `upstream_checkpoints.py save|load PAR_DIR`.

Prints, as JSON, the epoch, the first weight and the learning rate.
"""

import json
import pathlib
import sys
import warnings

warnings.simplefilter("ignore")

import torch  # noqa: E402 - not before the warnings are off
from drytorch import Experiment, Model, init_trackers  # noqa: E402 - as above
from drytorch.core.tracking import remove_all_default_trackers  # noqa: E402 - as above

EPOCH, WEIGHT, RATE = 3, 7.0, 0.25


def main() -> None:
    """Do what the command line says."""
    action, par_dir = sys.argv[1:]
    init_trackers("minimal")
    remove_all_default_trackers()
    net = torch.nn.Linear(2, 1)
    average = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    experiment = Experiment(None, name="Exp", par_dir=pathlib.Path(par_dir))
    resume = action == "load"
    with experiment.create_run(run_id="2026-01-02@03h04m05s", resume=resume):
        model = Model(net, name="net", device=torch.device("cpu"), should_compile=False)
        model.checkpoint.bind_optimizer(optimizer)
        model.checkpoint.bind_module("average", average)
        if action == "save":
            model.epoch = EPOCH
            optimizer.param_groups[0]["lr"] = RATE
            with torch.no_grad():
                net.weight.fill_(WEIGHT)
                average.weight.fill_(-WEIGHT)
            model.save_state()
        else:
            model.load_state()
    weights = [float(each.weight.flatten()[0]) for each in (net, average)]
    print(json.dumps([model.epoch, *weights, optimizer.param_groups[0]["lr"]]))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
