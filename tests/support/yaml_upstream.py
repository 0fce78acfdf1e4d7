"""Let DRYTorch's YamlDumper write `yaml_cases`, in a process of its own: `yaml_upstream.py DIR`."""

import datetime
import pathlib
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

from drytorch.core import log_events  # noqa: E402 - not before the warnings are off
from drytorch.trackers.yaml import YamlDumper  # noqa: E402 - as above
from drytorch.utils.repr_utils import LiteralStr, recursive_repr  # noqa: E402 - as above

from yaml_cases import ARCHITECTURES, CASES, LATER, NAMES, RAW, TS  # noqa: E402 - as above


def main(par_dir: pathlib.Path) -> None:
    """Give one tracker all runs, one after the other."""
    first, second = map(datetime.datetime.fromisoformat, (TS, LATER))
    tracker = YamlDumper()

    def start(run_id: str, config: object, when: datetime.datetime) -> None:
        resumed = when is second
        tracker.notify(
            log_events.StartExperimentEvent(config, "Exp", when, run_id, resumed, par_dir, [])
        )

    def model(name: str, architecture: str) -> None:
        text = LiteralStr(architecture)
        tracker.notify(log_events.ModelRegistrationEvent(name, first, text))

    def actor(name: str, model_name: str, metadata: dict[str, Any]) -> None:
        tracker.notify(log_events.ActorRegistrationEvent(name, first, model_name, first, metadata))

    for name, make in CASES.items():
        start(name, make(), first)
        model("net", "Net()")
        actor("actor", "net", recursive_repr(make()))
    for name, text in ARCHITECTURES.items():
        start(name, None, first)
        model("net", text)
    start("raw", None, first)
    actor("actor", "net", RAW)
    start("2025-08-01@12h54m21s", None, first)
    for name in NAMES:
        model(name, "Net()")
        for source in NAMES:
            actor(source, name, {})
    start("2025-08-01@12h54m21s", {"resumed": True}, second)


if __name__ == "__main__":
    log_events.Event.set_auto_publish(lambda _: None)
    main(pathlib.Path(sys.argv[1]))
