"""Plays one round of chaos, and checks what it left."""

import os
import time
from pathlib import Path

from chaos import checker, faults
from chaos.rounds import Round
from drytorch_schemas.folders import logs_dir


def play(seed: int, folder: Path, *, count: int = 8) -> list[str]:
    """Play a round, and return what is wrong afterwards: nothing, it is hoped.

    Args:
        seed: decides everything that the round decides.
        folder: a folder for it.
        count: how many faults.
    """
    about = Round(seed, folder)
    try:
        wrong = _play(about, count)
    except BaseException:
        _tell(about)
        raise
    finally:
        about.close()
    if wrong or os.environ.get("VERBOSE"):
        _tell(about)
    return wrong


def _play(about: Round, count: int) -> list[str]:
    chance = about.chance
    about.note(f"seed {about.seed}, {'over a line' if about.proxied else 'on one host'}")
    for number in range(chance.randint(1, 3)):
        about.train(f"r{number}")
    _wait_for_first(about)
    for _ in range(count):
        time.sleep(chance.uniform(0, 0.8))
        chance.choice(faults.ALL)(about)
    about.finish(90)
    about.note("trainings are over")
    about.set_clock(0)
    about.settle(120)
    about.note("settled")
    return _check(about)


def _wait_for_first(about: Round) -> None:
    end = time.monotonic() + 30
    while not any(each.accepted for each in about.processes) and time.monotonic() < end:
        time.sleep(0.01)


def _check(about: Round) -> list[str]:
    found = checker.read(about.journals)
    wrong = [f"damage: {each}" for each in found.damages if not each.torn]
    for process in about.processes:
        wrong += checker.faults_of(process, found)
    wrong += checker.faults_of_numbers(found)
    replaced = about.replaced
    if replaced:  # what the workers had not fetched from the old journal is replayed
        for journal in about.journals:
            line = ("replay", journal, "--to", "csv", "--to", "sql", "--par-dir", about.par_dir)
            done = about.host.drytorch(*line)
            wrong += [f"replay: {done.stderr}"] if done.returncode else []
    wrong += checker.faults_of_csv(about.par_dir, found, ordered=not replaced)
    wrong += checker.faults_of_sql(about.par_dir, found)
    if not replaced:
        wrong += _compare_with_replay(about)
    return wrong


def _compare_with_replay(about: Round) -> list[str]:
    """A replay into an empty folder gives the same bytes as the live run."""
    again = about.folder / "again"
    done = about.host.drytorch("replay", about.journals[0], "--to", "csv", "--par-dir", again)
    if done.returncode:
        return [f"replay into an empty folder: {done.stderr}"]
    live = {path.relative_to(about.par_dir): path.read_bytes() for path in _files(about.par_dir)}
    replayed = {path.relative_to(again): path.read_bytes() for path in _files(again)}
    return [] if live == replayed else ["a replay into an empty folder gives other files"]


def _files(par_dir: Path) -> list[Path]:
    return sorted((par_dir / "csv_metrics").rglob("*.csv"))


def _tell(about: Round) -> None:
    print(f"\nRound of seed {about.seed}:", *about.diary, sep="\n  ")
    for path in [*sorted(about.folder.glob("stderr-*")), *sorted(logs_dir().glob("*.log"))]:
        print(f"{path.name}:", path.read_text(errors="replace")[-2000:])
