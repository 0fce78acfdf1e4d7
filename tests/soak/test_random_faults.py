"""Trainings under a random schedule of faults, seed after seed."""

import random
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from hosts import Host, eventually, result_of

EPOCHS = 120
FAULTS = 6


def hurt(host: Host, chance: random.Random) -> None:
    """Kill the broker or the workers, or freeze them for a while."""
    victims: list[psutil.Process] = chance.choice([host.brokers, host.workers])()
    if chance.random() < 0.5:
        for victim in victims:
            victim.kill()
        return
    for victim in victims:
        victim.suspend()
    time.sleep(chance.uniform(0.1, 1.5))
    for victim in victims:
        victim.resume()


def wait_a_while(trainings: list[subprocess.Popen[str]], seconds: float) -> None:
    """Wait, but no longer than the trainings go on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(each.poll() is None for each in trainings):
        time.sleep(0.05)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.system(deadline=120)
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_missing_after_random_faults(host: Host, tmp_path: Path, seed: int) -> None:
    """Whatever is killed or frozen when, each training's CSV has every row once and in order."""
    chance = random.Random(seed)
    names = [f"r{number}" for number in range(chance.randint(1, 3))]
    trainings = [host.train(tmp_path / "out", EPOCHS, name, PAUSE="0.01") for name in names]
    for _ in range(FAULTS):
        wait_a_while(trainings, chance.uniform(0.2, 1.5))
        hurt(host, chance)
    for training in trainings:
        finished = host.finish(training, 120)
        assert finished.returncode == 0, finished.stderr
        assert result_of(finished)["raised"] == 0
    expected = [str(number) for number in range(1, EPOCHS + 1)]

    def complete() -> bool:
        assert host.drytorch("sync").returncode == 0
        folder = tmp_path / "out" / "csv_metrics" / "Exp"
        files = [folder / name / "net" / "Trainer.csv" for name in names]
        return all(
            file.exists()
            and [row.split(",")[2] for row in file.read_text().splitlines()[1:]] == expected
            for file in files
        )

    eventually(complete, 120, "every row once and in order")
