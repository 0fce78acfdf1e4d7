"""Texts that would be too long for an event are cut, and say so."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from drytorch_client.experiment import Experiment
from drytorch_client.long_text import MAX_ARCHITECTURE, without_middle
from drytorch_schemas.envelope import Envelope, Origin, encode
from drytorch_schemas.limits import MAX_EVENT_BYTES
from recording import Recorded

ORIGIN = Origin("producer", "Exp", "r", "0" * 32, 0, "host")


def test_a_long_repr_is_shortened(recorded: Recorded, tmp_path: Path) -> None:
    """A model whose text no event takes keeps first and last lines, and says what is missing."""

    class Deep(torch.nn.Module):
        def __repr__(self) -> str:
            return "".join(f"(layer {number}): Größe\n" for number in range(100_000)) + "(end)"

    with Experiment(None, name="Exp", par_dir=tmp_path).create_run() as run:
        run.register_model(Deep())
    (registered,) = recorded.sender.of_kind("ModelRegistration")
    lines = registered.architecture_repr.splitlines()
    assert len(registered.architecture_repr.encode()) <= MAX_ARCHITECTURE
    assert len(encode(Envelope(ORIGIN, 1, 1, registered))) < MAX_EVENT_BYTES
    (mark,) = [number for number, line in enumerate(lines) if line.startswith("...")]
    assert str(len(repr(Deep()).encode())) in lines[mark]
    assert lines[:mark] == [f"(layer {number}): Größe" for number in range(mark)]
    assert lines[-1] == "(end)"
    first = int(lines[mark + 1].split()[1].rstrip("):"))
    assert lines[mark + 1 : -1] == [f"(layer {n}): Größe" for n in range(first, 100_000)]
    assert mark > 2 * (100_000 - first)


@given(st.text() | st.text(alphabet="\n\U0001f600a", min_size=200), st.integers(100, 400))
def test_shortening_keeps_within_the_limit(text: str, limit: int) -> None:
    """Whatever the text, the result is Unicode of so many bytes at most; short ones stay."""
    short = without_middle(text, limit)
    assert len(short.encode()) <= limit
    if len(text.encode("utf-8", "backslashreplace")) <= limit:
        assert short == text


def test_a_large_config_fits_whatever_its_letters(recorded: Recorded, tmp_path: Path) -> None:
    """A config of long texts, in letters of four bytes as well, fits into the run's start."""
    config = {"a": "\U0001f600" * 400_000, "b": ["x" * 300_000] * 3, "c": np.array(["y" * 10**6])}
    with Experiment(config, name="Exp", par_dir=tmp_path).create_run():
        pass
    started = recorded.sender.of_kind("StartExperiment")[0]
    assert len(encode(Envelope(ORIGIN, 1, 1, started))) < MAX_EVENT_BYTES // 2
