"""Rounds of chaos: whatever is killed, frozen, filled or cut, nothing is lost and nobody stalls.

`make chaos SEED=100 MINUTES=30` plays more of them; a seed plays the same schedule again.
"""

import os
from pathlib import Path

import pytest

from chaos.play import play

#: About a minute for `make test`.
FEW = (1, 2, 3)
FIRST = int(os.environ.get("SEED", "1000"))
#: A round takes about twenty seconds.
COUNT = 3 * int(os.environ.get("MINUTES", "3"))


@pytest.mark.timeout(400)
@pytest.mark.system(deadline=120)
@pytest.mark.parametrize("seed", FEW)
def test_a_minute_of_chaos(tmp_path: Path, seed: int) -> None:
    """After rounds of faults every accepted event is in journal and CSV, once, in order (B11)."""
    assert play(seed, tmp_path) == []


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.system(deadline=120)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_more_chaos(tmp_path: Path, seed: int) -> None:
    """After more rounds of faults nothing is missing, repeated or out of order either."""
    assert play(seed, tmp_path) == []
