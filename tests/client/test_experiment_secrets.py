"""Secrets leave the training process hidden, by a list that users can change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drytorch_client.experiment import Experiment
from drytorch_client.redaction import SECRET_WORDS
from pages import ROOT, code_of, text_of
from recording import Recorded

PAGE = ROOT / "docs" / "how-to" / "secrets.md"


@pytest.fixture(autouse=True)
def restored_words() -> Iterator[None]:
    """Undo what a test changes in the list."""
    before = set(SECRET_WORDS)
    yield
    SECRET_WORDS.clear()
    SECRET_WORDS.update(before)


def test_the_page_names_the_words() -> None:
    """The page on secrets lists the words as they are."""
    assert f"The words: {', '.join(sorted(SECRET_WORDS))}." in text_of(PAGE)


def test_the_list_can_be_changed(recorded: Recorded, tmp_path: Path) -> None:
    """The lines of the page hide another key, and show one that was hidden; tags follow as well."""
    exec("\n".join(code_of(PAGE, "python")), {})  # noqa: S102 - the page's own lines
    config = {"licence_key": "abc", "token": "shown", "max_tokens": 5, "db_password": "x"}
    tags = ["lr=0.01", "licence=abc", "password=x", "postgresql://me:x@host/db", "fast"]
    experiment = Experiment(config, name="Exp", par_dir=tmp_path, tags=tags)
    with experiment.create_run() as run:
        model = run.register_model(object(), name="net")
        run.register_actor(model=model, metadata={"key": "licence: no", "secret": "x"}).register()
        experiment.extend(tags=["api_key=x"])
    start, _, actor, update, _ = recorded.sender.events
    hidden = {"licence_key": "***", "token": "shown", "max_tokens": 5, "db_password": "***"}
    assert start.to_wire()["config"] == hidden
    shown = ["lr=0.01", "licence=***", "password=***", "postgresql://me:***@host/db", "fast"]
    assert start.to_wire()["tags"] == shown
    assert actor.to_wire()["metadata"] == {"key": "licence: no", "secret": "***"}
    assert update.to_wire()["tags"] == [*shown, "api_key=***"]
    assert experiment.tags == [*tags, "api_key=x"]
