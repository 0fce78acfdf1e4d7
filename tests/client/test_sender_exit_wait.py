"""What a run's stop has waited for in vain is not waited for again at exit."""

import pytest

from drytorch_client.config import ClientConfig
from drytorch_client.identity import RunIdentity
from drytorch_client.sender import Sender
from drytorch_client.sender_core import SenderCore
from drytorch_schemas.events import EndTrainingEvent

AWAY = "tcp://127.0.0.1:1"


@pytest.mark.parametrize(("told", "expected"), [(True, 0.0), (False, None)])
def test_the_wait_at_exit(
    monkeypatch: pytest.MonkeyPatch, *, told: bool, expected: float | None
) -> None:
    """The exit waits only for what nobody has told to be left behind."""
    waited: list[float | None] = []
    close = SenderCore.close

    def short_close(core: SenderCore, timeout: float | None) -> None:
        waited.append(timeout)
        close(core, 0.0)

    monkeypatch.setattr(SenderCore, "close", short_close)
    sender = Sender(ClientConfig(broker=AWAY))
    sender.emit(EndTrainingEvent(source_name="s"), RunIdentity("Exp", "r", "a" * 32, 0, "host"))
    if told:
        assert sender.rest() == 1
    sender.close()
    assert waited == [expected]
