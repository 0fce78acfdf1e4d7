"""Addresses: one topic for one name, and filters that agree with prefixes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drytorch_schemas import topics
from drytorch_schemas.errors import TopicError
from drytorch_schemas.topics import TopicFilter
from wire_values import HEX_IDS, NAMES

#: Few letters, so that names are often prefixes of others, and what needs escaping.
CLOSE = st.text("a/%*[?1", min_size=1, max_size=4)
PATTERNS = st.one_of(CLOSE, st.sampled_from(["*", "a*", "?", "[a]", "*/*"]))


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES, NAMES)
def test_topics_survive(experiment: str, run_id: str, kind: str) -> None:
    """Taking a topic apart gives the names that it was built of."""
    topic = topics.build(experiment, run_id, kind)
    assert topics.split(topic) == (experiment, run_id, kind)
    assert topic.count("/") == 3
    assert re.search(r"[\x00-\x1f\x7f]", topic) is None


@settings(max_examples=200, deadline=None)
@given(CLOSE, CLOSE, CLOSE, CLOSE)
def test_prefix_matches_iff_levels_match(
    experiment: str, run_id: str, other_experiment: str, other_run_id: str
) -> None:
    """A topic begins with the levels of a run exactly when it is of that run."""
    prefix = f"{topics.escape(experiment)}/{topics.escape(run_id)}/"
    topic = topics.build(other_experiment, other_run_id, "Metric")
    same = (experiment, run_id) == (other_experiment, other_run_id)
    assert topic.startswith(prefix) == same


@settings(max_examples=300, deadline=None)
@given(
    experiment=PATTERNS,
    run_id=PATTERNS,
    name=CLOSE,
    other=CLOSE,
    run=HEX_IDS,
    by_uuid=st.booleans(),
)
def test_filters_agree_with_their_prefix(
    experiment: str, run_id: str, name: str, other: str, run: str, *, by_uuid: bool
) -> None:
    """Whatever a filter admits begins with the filter's prefix."""
    wanted = TopicFilter(experiment, run_id, run if by_uuid else None)
    if wanted.matches(name, other, run, "Metric"):
        assert topics.build(name, other, "Metric").startswith(wanted.prefix())


def test_run1_is_not_run10() -> None:
    """The prefix of one run does not match a run whose id only begins alike."""
    assert not topics.build("e", "run10", "K").startswith(TopicFilter("e", "run1").prefix())


@pytest.mark.parametrize(
    ("wanted", "admits"),
    [
        (TopicFilter(), True),
        (TopicFilter("Exp"), True),
        (TopicFilter("exp"), False),
        (TopicFilter("E*"), True),
        (TopicFilter("E?p", "r[12]"), True),
        (TopicFilter("*", "r2"), False),
        (TopicFilter(kinds=("Metric",)), True),
        (TopicFilter(kinds=("Loss", "Custom")), False),
        (TopicFilter(run="u"), True),
        (TopicFilter(run="v"), False),
        (TopicFilter("Other", run="u"), False),
    ],
)
def test_filters(wanted: TopicFilter, *, admits: bool) -> None:
    """A filter admits an envelope when all its fields do."""
    assert wanted.matches("Exp", "r1", "u", "Metric") == admits
    assert topics.matches_any([wanted], "Exp", "r1", "u", "Metric") == admits
    assert topics.matches_any([TopicFilter("No"), wanted], "Exp", "r1", "u", "Metric") == admits


@pytest.mark.parametrize("name", ["", "\ud800"], ids=ascii)
def test_what_is_no_name(name: str) -> None:
    """An empty name and a lone surrogate cannot be in a topic."""
    with pytest.raises(TopicError):
        topics.escape(name)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a/b/c",
        "a/b/",
        "a//c/",
        "/b/c/",
        "a/b/c/d/",
        "%61/b/c/",
        "a%2f/b/c/",
        "%FF/b/c/",
        "%/b/c/",
    ],
)
def test_what_is_no_topic(topic: str) -> None:
    """A text that `build` cannot have made is no topic."""
    with pytest.raises(TopicError):
        topics.split(topic)
