"""The client's options: the broker's URL from argument and environment, and impossible values."""

from __future__ import annotations

import pytest

from drytorch_client.config import ClientConfig
from drytorch_client.errors import BrokerUrlError, OptionError


@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [
        (None, "", ""),
        (None, "tcp://h:1", "tcp://h:1"),
        ("tcp://a:1", "tcp://h:1", "tcp://a:1"),
        ("tcp://a:1", "disabled", "disabled"),
        ("disabled", "tcp://h:1", "disabled"),
        ("ipc:///tmp/x", "", "ipc:///tmp/x"),
    ],
)
def test_broker_of(argument: str | None, variable: str, expected: str) -> None:
    """The argument wins over the variable, but a variable that disables wins over all."""
    config = ClientConfig.from_environment(argument, {"DRYTORCH_BROKER": variable})
    assert config.broker == expected
    assert config.disabled == (expected == "disabled")


@pytest.mark.parametrize("url", ["h:1", "http://h", "tcp://", "ipc://relative", "tcp://h:99999"])
def test_bad_urls_name_their_source(url: str) -> None:
    """What is no URL of a broker is refused in one sentence that says where it stands."""
    with pytest.raises(BrokerUrlError, match=r"^broker: "):
        ClientConfig(broker=url)
    with pytest.raises(BrokerUrlError, match=r"^DRYTORCH_BROKER: "):
        ClientConfig.from_environment(None, {"DRYTORCH_BROKER": url})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_full": "explode"}, "on_full cannot be 'explode'"),
        ({"spool": "never"}, "spool cannot be 'never'"),
        ({"queue_bytes": 0}, "queue_bytes cannot be 0"),
        ({"exit_wait": -1.0}, "exit_wait cannot be -1.0"),
        ({"queue_bytes": 5, "reserved_bytes": 5}, "less than queue_bytes"),
        ({"batch_events": 9999}, "lower batch_events"),
        ({"no_such": 1}, "no option no_such"),
    ],
)
def test_impossible_options(options: dict[str, object], message: str) -> None:
    """An option that cannot work is refused by name."""
    with pytest.raises(OptionError, match=message):
        ClientConfig.from_environment(None, {}, **options)
