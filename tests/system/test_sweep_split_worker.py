"""A worker that trackers share dies again and again: they go on apart, and write it all."""

import pytest

from hosts import Host, eventually
from stepping import CSV, Stepping
from working import rows


def wait_for_rows(training: Stepping, count: int) -> None:
    """Wait until the CSV file has so many rows."""
    eventually(lambda: rows(training.out / CSV) == 1 + count, 30, f"{count} rows")


@pytest.mark.system(deadline=60)
@pytest.mark.timeout(240)
def test_a_shared_worker_that_is_killed_twice(host: Host) -> None:
    """The training starts one worker for CSV and one for YAML, and both files are whole."""
    training = Stepping(host)
    for number in (1, 2):
        training.step()
        wait_for_rows(training, 10 * number)
        assert training.workers() == ["files"]
        training.worker().kill()
    training.step()
    eventually(lambda: training.workers() == ["files-csv", "files-yaml"], 60, "it is split")
    wait_for_rows(training, 30)
    assert "each of its trackers goes on in a worker of its own" in training.end()
    text = (training.out / CSV).read_text()
    assert [int(row.split(",")[2]) for row in text.splitlines()[1:]] == list(range(1, 31))
    assert len(list((training.out / "metadata" / "Exp" / "r").rglob("*.yaml"))) == 3
    assert host.drytorch("workers", "--json").stdout.strip() == "[]"
