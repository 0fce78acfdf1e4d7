"""Runs of these tests report to a list, unless they ask for more."""

import pytest

from drytorch_client import defaults, link, naming, scope, session
from drytorch_client.experiment import Experiment
from recording import Recorded, RecordingSender, RecordingSupervisor


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Let runs report to a list and start no worker."""
    sender, supervisor = RecordingSender(), RecordingSupervisor()
    monkeypatch.setattr(link, "open_sender", lambda config: sender)  # noqa: ARG005 - as the original
    monkeypatch.setattr(link, "register", lambda *context: None)  # noqa: ARG005 - as the original
    monkeypatch.setattr(link, "is_away", lambda sender: sender.away)
    monkeypatch.setattr(link, "rest_of", lambda sender: ["7 events"] if sender.away else [])
    monkeypatch.setattr(session, "local_supervisor", lambda: supervisor)
    monkeypatch.setattr(scope._SCOPE, "run", None)
    defaults.forget_mode()

    def forget_names() -> None:
        monkeypatch.setattr(Experiment, "_names", naming.NameCounter())

    forget_names()
    return Recorded(sender, supervisor, forget_names)
