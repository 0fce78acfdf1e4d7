"""Names, runs, resuming, and what is active."""

import datetime
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from drytorch_client.errors import (
    InvalidNameError,
    NestedScopeError,
    NoActiveExperimentError,
    RegistryError,
    ResumeWarning,
    RunAlreadyRecordedError,
)
from drytorch_client.experiment import Experiment
from recording import Recorded

pytestmark = pytest.mark.usefixtures("recorded")


@pytest.mark.parametrize("character", [*'\\/:*?"<>|\0', "\ud800"])
def test_forbidden_characters_are_named(tmp_path: Path, character: str) -> None:
    """A name with a character that no folder may have is refused, naming it."""
    named = re.escape(ascii(character))
    with pytest.raises(InvalidNameError, match=named):
        Experiment(None, name=f"a{character}b", par_dir=tmp_path)
    with pytest.raises(ValueError, match=named):
        Experiment(None, par_dir=tmp_path).create_run(run_id=f"a{character}b")


@pytest.mark.parametrize("name", ["x" * 256, ".", ".."])
def test_impossible_names_are_refused(tmp_path: Path, name: str) -> None:
    """A name that is too long, or a folder of its own, is refused."""
    with pytest.raises(InvalidNameError):
        Experiment(None, name=name, par_dir=tmp_path)


def test_longest_names_work(tmp_path: Path) -> None:
    """Names of 255 characters are accepted, and the run's UUID is found again."""
    experiment = Experiment(None, name="x" * 255, par_dir=tmp_path)
    run = experiment.create_run(run_id="r" * 255)
    resumed = experiment.create_run(run_id="r" * 255, resume=True)
    assert resumed.identity.run == run.identity.run


def test_repeated_experiments_get_numbers(tmp_path: Path) -> None:
    """The second experiment of a name gets `_1`, and without a name the class gives it."""

    class Tuning(Experiment[None]):
        pass

    names = [Experiment(None, name="Exp", par_dir=tmp_path).name for _ in range(3)]
    assert names == ["Exp", "Exp_1", "Exp_2"]
    assert [Tuning(None).name, Tuning(None).name] == ["Tuning", "Tuning_1"]


def test_par_dir_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent folder does not move when the process changes its current one."""
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(None, name="Exp", par_dir="out")
    monkeypatch.chdir("/")
    assert experiment.par_dir == tmp_path / "out"


def test_default_run_id_is_the_local_time(tmp_path: Path) -> None:
    """Without an id a run is named by its local time, and a second one in that second by `_1`."""
    before = datetime.datetime.now().replace(microsecond=0)  # noqa: DTZ005 - run ids are local times
    runs = [Experiment(None, name="Exp", par_dir=tmp_path).create_run() for _ in range(1)]
    moment = datetime.datetime.strptime(runs[0].id, "%Y-%m-%d@%Hh%Mm%Ss")  # noqa: DTZ007 - as above
    assert before <= moment <= datetime.datetime.now()  # noqa: DTZ005 - as above


def test_two_default_ids_in_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of one second get two ids, both recorded, each with its own status."""
    monkeypatch.setattr("drytorch_client.naming.TIME_FORMAT", "same")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    with experiment.create_run() as first:
        second = experiment.create_run()
    assert (first.id, second.id) == ("same", "same_1")
    assert first.identity.run != second.identity.run
    recorded = {entry["id"]: entry["status"] for entry in experiment.registry.load()}
    assert recorded == {"same": "completed", "same_1": "created"}


def test_status_in_the_registry(tmp_path: Path) -> None:
    """The registry shows a run as created, running, and then how it ended."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    file = tmp_path / ".drytorch" / "Exp" / "runs.json"

    def status() -> str:
        return str(json.loads(file.read_text())[-1]["status"])

    run = experiment.create_run(run_id="a")
    assert status() == "created"
    with run:
        assert status() == "running"
    assert status() == "completed"
    with pytest.raises(KeyError), experiment.create_run(run_id="b"):
        raise KeyError
    assert status() == "failed"


def test_a_taken_id_is_refused(tmp_path: Path) -> None:
    """A new run cannot have an earlier one's id."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    experiment.create_run(run_id="a")
    with pytest.raises(RunAlreadyRecordedError, match="resume=True"):
        experiment.create_run(run_id="a")


def test_resumed_runs_keep_their_uuid(recorded: Recorded, tmp_path: Path) -> None:
    """A run resumed in another process has the same id and UUID, and says that it is resumed."""
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run(run_id="a") as run:
        pass
    Experiment(None, name="Exp", par_dir=tmp_path)
    recorded.forget_names()  # as in another process
    again = Experiment(None, name="Exp", par_dir=tmp_path)
    again.create_run(run_id="b")
    with again.create_run(run_id="a", resume=True) as resumed:
        assert resumed.identity == run.identity
    assert [event.resumed for event in recorded.sender.of_kind("StartExperiment")] == [False, True]
    assert [entry["id"] for entry in again.registry.load()] == ["a", "b"]


def test_resuming_takes_the_last_run_of_the_experiment(tmp_path: Path) -> None:
    """Without an id the last run of this experiment is resumed, whatever other ones did since."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    for run_id in ("a", "b"):
        experiment.create_run(run_id=run_id)
    Experiment(None, name="Other", par_dir=tmp_path).create_run(run_id="c")
    assert experiment.create_run(resume=True).id == "b"


def test_nothing_to_resume(tmp_path: Path) -> None:
    """Where there is nothing to resume a new run is made, with a warning."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    with pytest.warns(ResumeWarning, match="no run to resume"):
        assert not experiment.create_run(run_id="a", resume=True).resumed
    with pytest.warns(ResumeWarning, match="no run b"):
        assert experiment.create_run(run_id="b", resume=True).id == "b"


def test_a_new_run_never_takes_an_old_uuid(tmp_path: Path) -> None:
    """A registry that was deleted without its UUIDs does not join two runs."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    first = experiment.create_run(run_id="a")
    experiment.registry.file.unlink()
    assert experiment.create_run(run_id="a").identity.run != first.identity.run


def test_unrecorded_runs(tmp_path: Path) -> None:
    """A run that is not recorded leaves no trace, and can be resumed by the same object."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    with experiment.create_run(run_id="a", record=False) as run:
        pass
    assert list(tmp_path.iterdir()) == []
    assert experiment.create_run(resume=True, record=False).identity == run.identity


def test_the_active_experiment(tmp_path: Path) -> None:
    """The active experiment and its config can be had from anywhere, by class too."""

    class Other(Experiment[int]):
        pass

    experiment = Experiment({"lr": 1}, name="Exp", par_dir=tmp_path)
    with pytest.raises(NoActiveExperimentError):
        Experiment.get_current()
    with experiment.create_run() as run:
        assert Experiment.get_current() is experiment
        assert Experiment.get_config() == {"lr": 1}
        assert experiment.run is run
        with pytest.raises(NoActiveExperimentError, match="Other"):
            Other.get_current()
    with pytest.raises(NoActiveExperimentError, match="Exp"):
        _ = experiment.run


def test_nested_runs_are_refused(tmp_path: Path) -> None:
    """A second run cannot start within the first, which goes on (A23)."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    other = experiment.create_run(run_id="b")
    with experiment.create_run(run_id="a") as run:
        with pytest.raises(NestedScopeError, match="run a of experiment Exp"):
            other.start()
        assert run.is_active()
    with other:
        assert other.is_active()


def test_config_and_tags_can_grow(recorded: Recorded, tmp_path: Path) -> None:
    """What is added to config and tags before the start is in it, and reported afterwards."""
    experiment = Experiment({"lr": 1}, name="Exp", par_dir=tmp_path, tags=["a"])
    experiment.extend({"seed": 0})
    with experiment.create_run():
        experiment.extend({"data": "digits", "api_key": "x"}, tags=["b"])
    assert recorded.sender.of_kind("StartExperiment")[0].config == {"lr": 1, "seed": 0}
    update = recorded.sender.of_kind("UpdateExperiment")[0]
    assert update.config == {"lr": 1, "seed": 0, "data": "digits", "api_key": "***"}
    assert update.tags == ["a", "b"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A parent folder that is a file is refused in one sentence that names it."""
    (tmp_path / "file").write_text("")
    experiment = Experiment(None, name="Exp", par_dir=tmp_path / "file")
    with pytest.raises(RegistryError, match=re.escape(str(tmp_path / "file"))):
        experiment.create_run()


def test_disabled(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Switched off, a run reports and starts nothing, but keeps registry and checkpoints."""
    monkeypatch.setenv("DRYTORCH_BROKER", "disabled")
    net = torch.nn.Linear(1, 1)
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    experiment.trackers.subscribe("csv")
    with experiment.create_run(run_id="r") as run:
        model = run.register_model(net, name="net")
        for epoch in run.register_actor(model=model).training(n_epochs=1):
            epoch.log(loss=1.0)
        model.save()
        assert run.flush()
    assert not recorded.sender.events
    assert not recorded.supervisor.specs
    assert experiment.registry.load()[0]["status"] == "completed"
    assert (tmp_path / "checkpoints/Exp/r/net/epoch_1/model_state.pt").exists()
    assert capsys.readouterr().err == ""


def test_messages(recorded: Recorded, tmp_path: Path, capsys: Any) -> None:
    """A run says where its results go and how it ended, in one line each."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    with experiment.create_run(run_id="r"):
        first = capsys.readouterr().err
        recorded.sender.away = True
    last = capsys.readouterr().err
    assert first.startswith("drytorch: run r of Exp")
    assert str(tmp_path) in first
    assert first.count("\n") == last.count("\n") == 1
    assert "7 events" in last
    assert "drytorch sync" in last


@pytest.mark.usefixtures("recorded")
def test_messages_do_not_steer_the_terminal(tmp_path: Path, capsys: Any) -> None:
    """Control characters of names are spelled out in what is said of a run."""
    experiment = Experiment(None, name="\x1b[31mred", par_dir=tmp_path)
    with experiment.create_run(run_id="r\x9b2J"):
        pass
    err = capsys.readouterr().err
    assert r"run r\x9b2J of \x1b[31mred" in err
    assert all(character.isprintable() or character == "\n" for character in err)


def test_a_forked_child_does_not_stop_the_run(recorded: Recorded, tmp_path: Path) -> None:
    """A child that leaves the `with` block by itself reports no stop and writes no status."""
    experiment = Experiment(None, name="Exp", par_dir=tmp_path)
    with experiment.create_run(run_id="r") as run:
        child = os.fork()
        if child == 0:
            run.stop()
            os._exit(len(recorded.sender.of_kind("StopExperiment")))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert experiment.registry.load()[0]["status"] == "running"


@pytest.mark.parametrize(
    ("away", "age", "longest"), [(False, 60.0, 5.0), (True, 60.0, 2.0), (True, 0.0, 5.0)]
)
def test_the_wait_at_the_end(
    recorded: Recorded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    away: bool,  # noqa: FBT001 - a parameter of the test
    age: float,
    longest: float,
) -> None:
    """A stop waits 5 seconds at most, and 2 where a broker had time to come and did not."""
    recorded.sender.away = away
    waits: list[float] = []
    monkeypatch.setattr(recorded.sender, "flush", waits.append)
    with Experiment(None, name="Exp", par_dir=tmp_path).create_run(run_id="r") as run:
        assert run._session is not None
        run._session._started -= age
    assert waits == [pytest.approx(longest, abs=0.5)]
