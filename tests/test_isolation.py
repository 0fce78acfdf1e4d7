"""The fixtures of `conftest.py` do what they promise; each case runs in a pytest of its own."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SLEEPER = "[sys.executable, '-c', 'import time; time.sleep({seconds})']"


def run_inner(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run one test that consists of `body` under the fixtures, and return what pytest said."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    ini = "[pytest]\nmarkers =\n    system\n"
    (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    head = "import os, pathlib, subprocess, sys, pytest\n\n"
    (folder / "test_inner.py").write_text(head + textwrap.dedent(body), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("start_new_session", [False, True])
def test_a_forgotten_child_fails(tmp_path: Path, start_new_session: bool) -> None:  # noqa: FBT001
    """A child that still runs at the end fails its test, which names the command line."""
    command = SLEEPER.format(seconds=50)
    result = run_inner(
        tmp_path,
        f"""
        def test_inner():
            global child
            child = subprocess.Popen({command}, start_new_session={start_new_session})
        """,
    )
    assert result.returncode == 1, result.stdout
    assert "left behind: " in result.stdout
    assert "time.sleep(50)" in result.stdout


def test_a_detached_daemon_fails_and_is_killed(tmp_path: Path) -> None:
    """A daemon whose parent is gone is found by its environment, reported and killed."""
    result = run_inner(
        tmp_path,
        """
        def test_inner():
            script = "sleep 50 >/dev/null 2>&1 & echo $! > pid"
            subprocess.run(["sh", "-c", script], check=True, start_new_session=True)
        """,
    )
    assert result.returncode == 1, result.stdout
    assert "sleep 50" in result.stdout
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("marker", "code"),
    [
        ("pytest.mark.system", 0),
        ("pytest.mark.system(deadline=0.5)", 1),
        ("pytest.mark.usefixtures()", 1),
    ],
)
def test_only_system_tests_wait(tmp_path: Path, marker: str, code: int) -> None:
    """A process may take its time to leave after a system test, within the deadline."""
    command = SLEEPER.format(seconds=3)
    result = run_inner(
        tmp_path,
        f"""
        @{marker}
        def test_inner():
            global child
            child = subprocess.Popen({command})
        """,
    )
    assert result.returncode == code, result.stdout


def test_folders_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees temporary user folders, short enough for sockets, and no settings."""
    monkeypatch.setenv("DRYTORCH_BROKER", "tcp://example.org:1")
    result = run_inner(
        tmp_path,
        """
        def test_inner():
            assert [name for name in os.environ if name.startswith("DRYTORCH_")] == [
                "DRYTORCH_TEST_MARK"
            ]
            names = ["HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"]
            folders = [pathlib.Path(os.environ[name]) for name in names]
            assert all(folder.is_dir() and not list(folder.iterdir()) for folder in folders)
            assert len(str(folders[2])) < 30
            pathlib.Path("folders").write_text("\\n".join(map(str, folders)))
        """,
    )
    assert result.returncode == 0, result.stdout
    folders = (tmp_path / "folders").read_text(encoding="utf-8").splitlines()
    assert not any(Path(folder).exists() for folder in folders)
