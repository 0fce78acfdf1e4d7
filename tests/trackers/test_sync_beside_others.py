"""`drytorch sync` while another process does the same work, or waits for a broker."""

from types import SimpleNamespace

import pytest

from drytorch_client.workers import owed
from drytorch_schemas.endpoint import default_endpoint
from drytorch_schemas.folders import journal_dir
from drytorch_trackers.cli import main, sync
from hosts import Host
from working import spec_of

pytestmark = pytest.mark.system(deadline=20)


def test_sync_starts_the_broker_that_a_worker_waits_for(host: Host) -> None:
    """A worker that outlived its training and its broker gets a broker, though it runs."""
    spec = spec_of(host, default_endpoint(journal_dir()).url, "csv")
    owed.put(spec)
    at_work = owed.claim(spec)
    assert at_work is not None
    synced = host.drytorch("sync")
    assert (synced.returncode, synced.stderr) == (0, "")
    assert host.brokers()
    at_work.release()
    assert host.broker("stop").returncode == 0


def test_two_syncs_at_once_are_no_error(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that another process runs already is named, and is no failure."""
    spec = spec_of(host, default_endpoint(journal_dir()).url, "csv")
    taken = SimpleNamespace(spec=spec, exit_code=75)
    monkeypatch.setattr(sync, "_start", lambda: [taken])
    monkeypatch.setattr(sync, "_wait", lambda _workers, _until: [])
    assert main(["sync"]) == 0
    assert capsys.readouterr().err == (
        f"drytorch sync: Worker {spec.name} is at work in another process.\n"
    )
