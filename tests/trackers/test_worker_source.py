"""The broker as a source: names, cursors, retention, replaced journals, and odd answers."""

from collections.abc import Callable, Mapping

import pytest

from drytorch_client.errors import BrokerAwayError
from drytorch_schemas import control
from drytorch_schemas.envelope import Envelope
from drytorch_schemas.topics import TopicFilter
from drytorch_trackers import exit_codes
from drytorch_trackers.errors import SourceAwayError, WorkError
from drytorch_trackers.sink import Letter
from drytorch_trackers.source_broker import BrokerSource, Place
from feeding import Run

Answerer = Callable[[control.Message], control.Message]


class Channel:
    """Answers requests by a table, and keeps them."""

    def __init__(self) -> None:
        self.journal = "a" * 32
        self.cursor = 0
        self.head = 100
        self.start = 0
        self.attached = False
        self.skipped = 0
        self.requests: list[control.Message] = []
        self.override: dict[str, Answerer] = {}

    def request(  # noqa: PLR0911  # one answer for each kind of request
        self, message: control.Message, timeout: float
    ) -> control.Message:
        """Answer as a broker does."""
        assert 0 < timeout < 10
        self.requests.append(message)
        if message.type in self.override:
            return self.override[message.type](message)
        match message:
            case control.Attach():
                self.attached = True
                return control.Attached(
                    journal=self.journal, cursor=self.cursor, head=self.head, skipped=self.skipped
                )
            case control.Fetch():
                return control.Records(
                    journal=self.journal,
                    records=[],
                    covered_to=max(self.head, message.start),
                    head=self.head,
                    start=self.start,
                )
            case control.FetchContext():
                return control.Records(
                    journal=self.journal,
                    records=[(0, Run().start())],
                    covered_to=message.before,
                    head=self.head,
                )
            case _ if not self.attached:
                return control.Refused(code="unknown", text="attach first")
            case control.Commit() if message.journal != self.journal:
                return control.Refused(code="journal", text="another journal")
            case _:
                return control.Done()

    def kinds(self) -> list[str]:
        """Return the types of all requests."""
        return [message.type for message in self.requests]


class Silence:
    """A bell that never rings."""

    def use_ports(self, ports: Mapping[str, int]) -> None:
        """Take ports."""

    def wait(self, seconds: float) -> None:
        """Wait for nothing."""

    def live(self) -> list[Envelope]:
        """Give nothing."""
        return []


class World:
    """A source over a scripted channel."""

    def __init__(self, **place: object) -> None:
        self.channel = Channel()
        self.notes: list[str] = []
        where = Place("w", (TopicFilter(),), **place)  # type: ignore[arg-type]  # names of fields
        self.source = BrokerSource(self.channel, Silence(), where, self.notes.append)


def test_retention_is_told() -> None:
    """Records removed before a worker had them are counted and told, and it goes on (D15)."""
    world = World()
    world.channel.skipped, world.channel.cursor = 30, 30
    world.source.attach()
    assert world.source.position == 30
    world.channel.start = 50
    assert world.source.fetch(40).covered_to == 100
    assert world.source.skipped == 40
    assert [note.split()[2] for note in world.notes] == ["30", "10"]


def test_the_name_is_taken_again_after_a_restart() -> None:
    """A broker that forgot the worker is told its name again before the commit."""
    world = World()
    world.source.attach()
    world.channel.attached = False
    world.source.commit(7, "")
    assert world.channel.kinds() == ["attach", "commit", "attach", "commit"]
    letters = [Letter(3, "t", "E" * 5000, "x/y/z/")]
    world.source.put_aside(letters)
    sent = world.channel.requests[-1]
    assert isinstance(sent, control.DeadLetter)
    assert (sent.offset, len(sent.error)) == (3, 2000)


def test_a_replaced_journal_is_seen_wherever_it_shows() -> None:
    """Commit or fetch: a cursor of another journal is never written, and the new one is begun."""
    world = World()
    world.source.attach()
    world.channel.journal, world.channel.head = "b" * 32, 10
    with pytest.raises(SourceAwayError):
        world.source.commit(90, "")
    world.channel.attached = False
    with pytest.raises(SourceAwayError):
        world.source.commit(90, "")
    chunk = world.source.fetch(90)
    assert (chunk.records, chunk.covered_to, chunk.caught_up) == ((), 0, False)
    assert "another journal" in world.notes[-1]
    world.source.commit(5, "")
    commits = [each for each in world.channel.requests if isinstance(each, control.Commit)]
    assert commits[-1].journal == "b" * 32
    assert all(each.journal == "a" * 32 for each in commits[:-1])


def test_a_journal_that_lost_its_end() -> None:
    """A cursor beyond the head goes back to the journal's end, with a line that says so (D14)."""
    world = World()
    world.source.attach()
    world.channel.head = 50
    chunk = world.source.fetch(80)
    assert (chunk.covered_to, chunk.caught_up) == (50, True)
    assert "before this worker's cursor 80" in world.notes[-1]


@pytest.mark.parametrize(
    ("code", "error"), [("name_taken", WorkError), ("full", SourceAwayError), ("odd", WorkError)]
)
def test_refusals(code: str, error: type[Exception]) -> None:
    """A taken name ends the worker with 75, a full disk is waited for, the rest is a defect."""
    world = World()
    world.source.attach()
    refused = control.Refused(code=code, text="no")
    world.channel.override["dead_letter"] = lambda _message: refused
    with pytest.raises(error) as caught:
        world.source.put_aside([Letter(1, "t", "e")])
    if isinstance(caught.value, WorkError):
        taken = code == "name_taken"
        assert caught.value.exit_code == (exit_codes.TAKEN if taken else exit_codes.SOFTWARE)


def test_silence_and_odd_answers() -> None:
    """No answer is an absence; an answer to another question is told as a defect."""

    def silent(_message: control.Message) -> control.Message:
        raise BrokerAwayError("nobody")

    world = World()
    world.channel.override["attach"] = silent
    with pytest.raises(SourceAwayError, match="nobody"):
        world.source.attach()
    world.channel.override["attach"] = lambda _message: control.Done()
    with pytest.raises(WorkError, match="attach with done"):
        world.source.attach()


def test_what_is_kept_when_it_leaves() -> None:
    """A nameless `track` leaves no cursor behind; a named one does unless all is done."""
    for transient, done, gone in ((True, False, True), (False, False, False), (False, True, True)):
        world = World(transient=transient)
        world.source.attach()
        world.source.detach(done=done)
        attach, detach = world.channel.requests
        assert isinstance(attach, control.Attach)
        assert isinstance(detach, control.Detach)
        assert (attach.run_scoped, detach.done) == (transient, gone)


def test_the_past_of_runs() -> None:
    """From the journal's start nothing is open before; later the broker is asked."""
    world = World()
    world.source.attach()
    assert world.source.open_runs() == []
    world.source.position = 10
    assert world.source.open_runs() == [Run().run]
    assert world.source.has_runs()
    assert [offset for offset, _ in world.source.history("x", 10, whole=False)] == [0]
    assert list(world.source.history("x", 10, whole=True)) == []
