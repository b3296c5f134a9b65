"""Jobs that tests give to a cluster, and a scheduler and workers in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.running.dask_worker import Bench

ROOT = Path(__file__).parents[2]


def echo(bench: Bench, value: Any, seconds: float = 0.0) -> tuple[Any, int]:
    """Return a value and the process id of the worker, after a while."""
    time.sleep(seconds)
    return value, os.getpid()


def die(bench: Bench, once: str = "") -> str:
    """Kill the worker: always, or where a file is not there yet."""
    if once and Path(once).exists():
        return "survived"
    if once:
        Path(once).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still there")


def fail(bench: Bench) -> None:
    raise ZeroDivisionError("odd job")


class Outside:
    """A scheduler that is no child of the client, and its workers."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def scheduler(self, port: int = 0, preload: str = "") -> subprocess.Popen[bytes]:
        self.file.unlink(missing_ok=True)
        options = ["--port", str(port), "--scheduler-file", str(self.file), "--no-dashboard"]
        process = self._start("scheduler", options, preload)
        until = time.monotonic() + 60
        while not self.file.exists() or not self.file.read_text():
            assert time.monotonic() < until
            time.sleep(0.1)
        return process

    @property
    def address(self) -> str:
        found: str = json.loads(self.file.read_text())["address"]
        return found

    def worker(self, preload: str = "") -> subprocess.Popen[bytes]:
        options = [self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"]
        return self._start("worker", options, preload)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, what: str, options: list[str], preload: str) -> subprocess.Popen[bytes]:
        if preload:
            path = self._folder / f"preload_{len(self._processes)}.py"
            path.write_text(preload)
            options = [*options, "--preload", str(path)]
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *options],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process
