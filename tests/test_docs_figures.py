"""The reference pages on limits and trackers have the values that the code has."""

import dataclasses
import inspect
import re
from typing import Any

import pytest

from drytorch_broker import committer, inlet, log_lines, lost, producers, rejects, retention
from drytorch_broker import workers as broker_workers
from drytorch_broker.config import BrokerConfig
from drytorch_broker.filelog import reading
from drytorch_broker.filelog.options import LogOptions
from drytorch_broker.worker_files import MAX_DEAD_BYTES
from drytorch_client import defaults, epoch, handover, messages, naming
from drytorch_client.config import ClientConfig
from drytorch_client.workers import supervisor
from drytorch_client.workers.spec import WorkerSpec
from drytorch_schemas import limits
from drytorch_trackers import applied, hosted, registry, sharing, sql_address, worker_output
from drytorch_trackers.checkup import broker, journal, leftovers, places
from drytorch_trackers.feed import FeedOptions
from drytorch_trackers.hosted import Policy
from pages import REFERENCE, named, rows, section, shown, text_of

# ---- limits


def test_protocol_limits_are_those_of_the_page() -> None:
    """The table of limits has each constant of the schemas with its value, and no other."""
    table = named(section("limits.md", "Limits of the protocol"))
    values = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert {name: cells[1] for name, cells in table.items()} == {
        name: shown(name, value) for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("heading", "config", "column"),
    [("The client", ClientConfig, 1), ("The broker", BrokerConfig, 2)],
)
def test_options_have_the_defaults_of_the_page(heading: str, config: Any, column: int) -> None:
    """The table of a program's options has each field of its configuration with its default."""
    table = named(section("limits.md", heading))
    for field in dataclasses.fields(config):
        cell = table[field.name][column].strip("`")
        assert field.default is dataclasses.MISSING or cell == shown(field.name, field.default)
    lines = section("limits.md", heading).split("Not options")[0]
    assert set(named(lines)) == {field.name for field in dataclasses.fields(config)}


POLICY, FEED = Policy(), FeedOptions()
FIGURES: dict[str, list[object]] = {
    "Live events of one pass": [f"{epoch.LIVE_SECONDS:g} s"],
    "A line that the client says of itself": [f"{messages._PATIENCE:g} s"],
    "A line after a bar, in two pipes": [f"{worker_output._TURN_SECONDS:g} s"],
    "Batches held for one producer while an earlier one is missing": [
        shown("bytes", inlet.MAX_HELD_BYTES)
    ],
    "What a start after a kill reads of the journal": [
        shown("bytes", LogOptions().index_every),
    ],
    "Indexes of segments in memory": [shown("bytes", reading._INDEX_BYTES)],
    "Batches held for all producers": [shown("bytes", inlet.MAX_HELD_TOTAL)],
    "A gap in a producer's numbers": [f"{producers.FIRST_NAK_DELAY:g} s"],
    "A full or failing journal": [f"every {committer.RETRY_EVERY:g} s"],
    "A local training that is gone": [f"{lost.LOOK_EVERY:g} s"],
    "A training elsewhere without a sign of life": [f"{lost.SILENCE:g} s"],
    "Workers elsewhere without a sign of life": [f"{broker_workers.SIGN_OF_LIFE:g} s"],
    "Cursors": [f"{broker_workers.WRITE_AFTER:g} s"],
    "Dead letters of one worker": [shown("bytes", MAX_DEAD_BYTES)],
    "Retention": [f"{retention.LOOK_EVERY:g} s", f"{retention._HARD * 100:g} %"],
    "Log of refused messages": [shown("bytes", rejects._MAX_BYTES), rejects._LINES_A_SECOND],
    "`broker.log`": [shown("bytes", log_lines._MAX_BYTES)],
    "Attempts at an event": [
        len(POLICY.delays) + 1,
        "{:g}, {:g} and {:g} s".format(*POLICY.delays),
        f"{len(POLICY.delays_in_a_row) + 1} attempts",
        f"{len(POLICY.delays_for_kind) + 1} where",
    ],
    "What a tracker writes to is away": [
        f"{hosted._FIRST_AWAY_PAUSE:g} s",
        f"{hosted._LONGEST_AWAY_PAUSE:g} s",
        f"{sql_address.SQLITE_BUSY_SECONDS} s",
        f"{sql_address.CONNECT_SECONDS} s",
    ],
    "What a training hands over of one tracker": [shown("bytes", handover.MAX_CODE_BYTES)],
    "Dead letters in a row": [POLICY.max_in_a_row],
    "Commits": [f"{POLICY.commit_seconds:g} s", f"{FEED.commit_seconds:g} s"],
    "Look without a doorbell": [f"{FEED.heartbeat_seconds:g} s"],
    "Without a broker": [f"{WorkerSpec.model_fields['quiet_exit_s'].default:g} s"],
    "Nothing finished though the run is over": [
        f"{WorkerSpec.model_fields['stuck_exit_s'].default:g} s"
    ],
    "Deaths of a worker that `csv` and `yaml` share": [sharing.DEATHS],
    "Asked to leave": [f"{FEED.finish_seconds:g} s"],
    "Starts of a worker that dies": [
        f"{supervisor._FIRST_DELAY:g} s",
        f"{supervisor._MAX_DELAY:g} s",
        ", ".join(map(str, sorted(supervisor.FINAL_CODES)[:-1])),
    ],
    "A worker's log": [
        shown("bytes", worker_output._LOG_BYTES),
        f"{worker_output._LOG_DAYS} days",
    ],
}


@pytest.mark.parametrize("what", FIGURES)
def test_figures_are_those_of_the_code(what: str) -> None:
    """A limit that is no option stands on the page with the value that the code has."""
    line = " | ".join(
        next(cells for cells in rows(text_of(REFERENCE / "limits.md")) if cells[0] == what)[1:]
    )
    for figure in FIGURES[what]:
        assert re.search(rf"(?<![\d.]){re.escape(str(figure))}(?!\d)", line), figure


def test_prose_has_the_figures_of_the_code() -> None:
    """Limits that stand in sentences have the values that the code has."""
    text = " ".join(text_of(REFERENCE / "limits.md").split())
    assert f"at most {naming.MAX_LENGTH} characters" in text
    assert f"{applied.RECORD_SIZE} bytes a row" in text
    assert f"`fsync_interval` of {LogOptions().fsync_interval:g} s" in text
    assert f"a warning comes at {committer.WARN_AT * 100:g} %" in text


def test_doctor_s_figures_are_those_of_the_code() -> None:
    """What doctor takes for a problem stands in its section with the values that the code has."""
    text = " ".join(section("commands.md", "`drytorch doctor`").split())
    assert f"up to {shown('bytes', leftovers.MOST_READ)} of it" in text
    assert f"less than {leftovers.BEGINS_WITHIN:g} s" in text
    assert f"Less than {places.LOW_ROOM >> 20} MiB of free space" in text
    assert f"from {journal.WARN_AT * 100:g} % of its limit on" in text
    assert f"may take {broker.TIMEOUT:g} s to answer" in text


# ---- trackers


def test_short_names_are_those_of_the_page() -> None:
    """The table of trackers has each short name that this project installs, with its class."""
    table = {name: cells[1].strip("`") for name, cells in _trackers().items()}
    ours = {
        name: point.value.rpartition(":")[2]
        for name, point in registry.entry_points().items()
        if point.value.startswith("drytorch_trackers.")
    }
    assert table == ours


def _trackers() -> dict[str, list[str]]:
    """Return the first table of the page on trackers."""
    before_sections = text_of(REFERENCE / "trackers.md").split("\n## ")[0]
    return named(before_sections)


@pytest.mark.parametrize("name", ["console", "progress", "csv", "yaml", "sql", "memory"])
def test_tracker_options_are_those_of_the_page(name: str) -> None:
    """A tracker's section lists each option of its constructor with the true default."""
    cells = [each for each in rows(section("trackers.md", f"`{name}`")) if each[0][1].isalpha()]
    table = {each[0].strip("`"): each[1].strip("`") for each in cells}
    parameters = inspect.signature(registry.load(name).__init__).parameters
    known = {key: each.default for key, each in parameters.items() if key != "self"}
    assert set(table) == set(known)
    for option, default in known.items():
        assert isinstance(default, dict) or table[option] == repr(default), option


def test_modes_are_those_of_the_page() -> None:
    """The table of modes is the one that the code's own documentation has."""
    described = list(rows(section("trackers.md", "Default trackers")))
    assert described == list(rows(defaults.__doc__ or ""))
