"""Runs of these tests report to a list, unless they ask for more."""

import pytest

from drytorch_client import defaults, naming, scope, session
from drytorch_client.experiment import Experiment
from recording import Recorded, RecordingSender, RecordingSupervisor


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Let runs report to a list and start no worker."""
    sender, supervisor = RecordingSender(), RecordingSupervisor()
    monkeypatch.setattr(session, "get_sender", lambda _config: sender)
    monkeypatch.setattr(session, "local_supervisor", lambda: supervisor)
    monkeypatch.setattr(scope._SCOPE, "run", None)
    defaults.forget_mode()

    def forget_names() -> None:
        monkeypatch.setattr(Experiment, "_names", naming.NameCounter())

    forget_names()
    return Recorded(sender, supervisor, forget_names)
