"""One trial of a sweep, without a framework: `python trial.py PAR_DIR NUMBER EPOCHS`. Prints what it measured of itself."""
import json, random, sys, time
from drytorch_client import Experiment

class Line:
    """y = a x + b, fitted by gradient descent."""
    def __init__(self, rate):
        self.a, self.b, self.rate = 0.0, 0.0, rate
    def step(self, pairs):
        errors = [self.a * x + self.b - y for x, y in pairs]
        self.a -= self.rate * sum(e * x for e, (x, _) in zip(errors, pairs)) / len(pairs)
        self.b -= self.rate * sum(errors) / len(pairs)
        return sum(e * e for e in errors) / len(pairs)

def trial(par_dir, number, epochs, name="Sweep"):
    chance = random.Random(number)
    config = {"rate": chance.uniform(0.01, 0.5), "number": number}
    experiment = Experiment(config, name=name, par_dir=par_dir)
    experiment.trackers.subscribe("csv")
    with experiment.create_run(run_id=f"trial-{number}") as run:
        line = Line(config["rate"])
        trainer = run.register_actor(name="Trainer", model=run.register_model(line, name="line"))
        data = [[(x, 3 * x + 1) for x in (chance.random() for _ in range(8))] for _ in range(5)]
        for epoch in trainer.training(n_epochs=epochs):
            losses = []
            for batch in epoch.batches(data):
                losses.append(line.step(batch))
                epoch.progress(loss=losses[-1])
            epoch.log(loss=sum(losses) / len(losses))
    return line.a

if __name__ == "__main__":
    begun = time.perf_counter()
    trial(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print("RESULT " + json.dumps({"seconds": time.perf_counter() - begun}))
