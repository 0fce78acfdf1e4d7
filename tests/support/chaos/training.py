"""A small real training that tells over a pipe what `emit` has accepted: `training.py RUN_ID`.

Each accepted number is written to the pipe after `emit` has returned, with the monotonic time, so
that the record survives whatever happens to this process.
"""

import json
import os
import sys
import time
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from drytorch_client import Experiment


class Ledger:
    """Counts what is reported, and tells what was accepted."""

    def __init__(self, pipe: int, base: int) -> None:
        self._pipe = pipe
        self._number = base
        self.longest = 0.0
        self.raised = 0

    def report(self, call: Any, **metrics: float) -> None:
        """Report metrics with the next number, and write the number down when it is accepted."""
        self._number += 1
        before = time.perf_counter()
        try:
            call({"n": self._number, **metrics})
        except Exception as error:  # noqa: BLE001 - nothing may raise; the checker looks at the count
            self.raised += 1
            print("RAISED", repr(error), file=sys.stderr)
        self.longest = max(self.longest, time.perf_counter() - before)
        os.write(self._pipe, b"%d %d\n" % (self._number, time.monotonic_ns()))


def main() -> None:
    """Train, and print what was measured."""
    options: dict[str, Any] = json.loads(os.environ["CHAOS_TRAINING"])
    ledger = Ledger(options["pipe"], options["base"])
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    data = TensorDataset(torch.randn(12, 4), torch.randn(12, 1))
    context = options["loader"] or None
    loader = DataLoader(
        data,
        4,
        num_workers=1 if context else 0,
        multiprocessing_context=context,
        persistent_workers=bool(context),  # starting one takes seconds where it imports torch anew
    )
    experiment = Experiment(
        {"lr": 0.01}, name="Chaos", par_dir=options["par_dir"], spool=options["spool"]
    )
    for tracker in options["trackers"]:
        experiment.trackers.subscribe(tracker)
    with experiment.create_run(run_id=options["run_id"], resume=options["resume"]) as run:
        model = run.register_model(net, name="net", optimizer=optimizer)
        trainer = run.register_actor(name="Trainer", model=model)
        for epoch in trainer.training(n_epochs=options["epochs"]):
            for inputs, targets in epoch.batches(loader):
                loss = torch.nn.functional.mse_loss(net(inputs), targets)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
                optimizer.step()
                time.sleep(options["pause"])
                epoch.progress(loss=loss.detach())
                ledger.report(lambda values: run.log(values, model="net", source="Steps"))
            ledger.report(lambda values, epoch=epoch: epoch.log(**values), twice=2.0)
    print("RESULT " + json.dumps({"longest": ledger.longest, "raised": ledger.raised}))


if __name__ == "__main__":
    main()
