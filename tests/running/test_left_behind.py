"""What is left where even the guard of a worker was killed, or the command that runs the runs of other versions."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.backends import BACKENDS
from bench.deciding.environments import run
from bench.running.guard import sweep
from bench.running.isolation import Worker
from tests.running.hostile import ROOT
from tests.running.processes import until


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of these processes alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_worker_whose_guard_was_killed_leaves_no_folder(temporary: Path) -> None:
    worker = Worker(BACKENDS["stanli"], timeout=60)
    (folder,) = temporary.glob("hierbench-*")
    assert folder.name.startswith(f"hierbench-{worker.pid}-")
    os.kill(worker.pid, signal.SIGKILL)
    worker.close()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_nobody_holds_is_swept_and_one_in_use_is_not(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = temporary / "hierbench-1234567-abc"
    (left / "inner").mkdir(parents=True)
    (temporary / "hierbench-x").mkdir()
    other = temporary / "somebody's"
    other.mkdir()
    (temporary / "hierbench-7-link").symlink_to(other)
    with Worker(BACKENDS["stanli"], timeout=60) as worker:
        (used,) = temporary.glob(f"hierbench-{worker.pid}-*")
        sweep(str(temporary))
        assert left.exists()  # it is fresh: its guard may not have locked it yet
        monkeypatch.setattr("bench.running.guard.FRESH", -1.0)
        sweep(str(temporary))
        assert not left.exists()
        assert used.exists()
        assert other.exists()
        assert (temporary / "hierbench-x").exists()
    assert not used.exists()


@pytest.mark.slow
def test_what_versions_runs_ends_with_it_however_it_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    child = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    script = f"import sys; from bench.deciding.environments import run; run([sys.executable, '-c', {child!r}])"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        until(lambda: started.exists() and started.read_text())
        pid = int(started.read_text())
        assert Path(f"/proc/{pid}").exists()
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not Path(f"/proc/{pid}").exists(), 10)


def test_what_versions_runs_gives_its_output_and_its_code() -> None:
    done = run([sys.executable, "-c", "print('said'); raise SystemExit(3)"])
    assert (done.stdout, done.returncode) == ("said\n", 3)
    assert run(["/nowhere/python"]).returncode == 127
