"""Options as text become what constructors take."""

from pathlib import Path
from typing import Any, Literal

import pytest

from drytorch_trackers import BuiltinLogger, CSVDumper, MemoryTracker, TqdmLogger, Tracker
from drytorch_trackers.errors import OptionError
from drytorch_trackers.options import parse, split


class Many(Tracker):
    """A tracker with an option of each sort."""

    def __init__(  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917 - one of each sort
        self,
        number: int = 1,
        ratio: float = 0.5,
        on: bool = False,  # noqa: FBT001, FBT002 - an option
        names: list[str] | None = None,
        mode: Literal["a", "b"] = "a",
        limits: dict[str, int] | None = None,
        path: Path | None = None,
        text: str = "",
        plain=3,  # noqa: ANN001 - users leave annotations out
        unknown=None,  # noqa: ANN001 - as above
    ) -> None:
        """Take all."""


class Needy(Tracker):
    """A tracker with options that must be given."""

    def __init__(self, metric: str, *, scale: float) -> None:
        """Take both."""


class Anything(Tracker):
    """A tracker that takes any option."""

    def __init__(self, **options: Any) -> None:
        """Take all."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("number=7", 7),
        ("ratio=1e-3", 1e-3),
        ("on=true", True),
        ("on=0", False),
        ('names=["a", "b"]', ["a", "b"]),
        ("names=none", None),
        ("mode=b", "b"),
        ('limits={"x": 3}', {"x": 3}),
        ("path=some/where", Path("some/where")),
        ("path=none", None),
        ("text=[not json", "[not json"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("plain=4", 4),
        ("unknown=4", "4"),
    ],
)
def test_values_get_their_type(text: str, value: object) -> None:
    """A value becomes what the annotation, else the default, says."""
    _, option, given = split(text)
    parsed = parse(Many, [(option, given)])[option]
    assert (parsed, type(parsed)) == (value, type(value))


def test_own_trackers() -> None:
    """The built-in trackers' options can be given as text."""
    assert parse(BuiltinLogger, [("verbosity", "23"), ("stream", "stdout")]) == {
        "verbosity": 23,
        "stream": "stdout",
    }
    assert parse(TqdmLogger, [("leave", "false"), ("file", "stdout")])["leave"] is False
    assert parse(CSVDumper, [("par_dir", "x"), ("dialect", "excel")]) == {
        "par_dir": Path("x"),
        "dialect": "excel",
    }
    assert parse(Anything, [("some", "thing")]) == {"some": "thing"}


@pytest.mark.parametrize(
    ("tracker", "option", "text"),
    [
        (BuiltinLogger, ("verbosty", "3"), "BuiltinLogger has no option verbosty: did you mean"),
        (MemoryTracker, ("size", "3"), "MemoryTracker has no option size: it has none."),
        (CSVDumper, ("zzz", "3"), "CSVDumper has no option zzz: it has par_dir, dialect."),
        (Many, ("number", "x"), "Option number of Many cannot be 'x': Input should be a valid int"),
        (Many, ("mode", "c"), "Option mode of Many cannot be 'c': Input should be 'a' or 'b'."),
        (Tracker, ("x", "1"), "Tracker has no option x"),
        (Needy, ("scale", "2"), "Needy needs metric: add -o metric=..."),
    ],
)
def test_wrong_options(tracker: type[Tracker], option: tuple[str, str], text: str) -> None:
    """An unknown option names the nearest, a wrong value its type, a missing one how to give it."""
    with pytest.raises(OptionError) as caught:
        parse(tracker, [option])
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_splitting() -> None:
    """An option may be for one tracker, and a value may hold anything."""
    assert split("leave=false") == (None, "leave", "false")
    assert split("progress.leave=a.b=c") == ("progress", "leave", "a.b=c")
    for wrong in ("leave", "=x", ".leave=x", "csv.=x"):
        with pytest.raises(OptionError, match="write option=value"):
            split(wrong)
