"""Real processes for the tests, with whatever descends from them, and what they left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from bench.records import Record, read_records
from tests.running.faults import STAGE_FILE

ROOT = Path(__file__).parents[2]
MARK = "HIERBENCH_TEST_MARK"
"""Environment variable that every process of a test inherits, in whatever session or group it is."""


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)


def marked(mark: str) -> list[psutil.Process]:
    """Processes alive that inherited the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def left_running(mark: str, seconds: float = 5) -> list[str]:
    """Command lines of the processes with the mark that are still there after some seconds' grace."""
    deadline = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [" ".join(process.cmdline()) for process in left]


class Bench:
    """A run of the harness by pytest, in processes of its own.

    Parameters
    ----------
    folder : Path
        Where the runs, temporary files and output go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, folder / "runs"
        self.mark = uuid4().hex
        self.temporary = folder / "temporary"
        self.stage_file = folder / "stage"
        self.output = ""
        folder.mkdir(exist_ok=True)
        self.temporary.mkdir(exist_ok=True)

    def start(self, *arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
        """Start pytest on one model and one dataset, unless the arguments say otherwise."""
        self.log = self.folder / f"{uuid4().hex}.log"
        defaults = {"--grid": "smoke", "--model": "centered", "--chains": "2", "--runs": str(self.runs)}
        for option in (str(argument) for argument in arguments):
            defaults.pop({"--data": "--grid"}.get(option, option), None)
        with self.log.open("w") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "pytest", "bench/test_sample.py", "--benchmark-only", "--color=no"),
                    *("-p", "tests.running.faults", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
                    *(word for pair in defaults.items() for word in pair),
                    *map(str, arguments),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {MARK: self.mark, "TMPDIR": str(self.temporary), STAGE_FILE: str(self.stage_file)}
                | environment,
                text=True,
            )

    def finish(self, process: "subprocess.Popen[str]", seconds: float = 120) -> int:
        """Wait for pytest to end, and return its exit code."""
        try:
            code = process.wait(timeout=seconds)
        finally:
            process.kill()
            self.output = self.log.read_text(errors="surrogateescape")
        return code

    def __call__(self, *arguments: str | Path, **environment: str) -> int:
        """Run pytest and return its exit code; `output` holds what it printed."""
        return self.finish(self.start(*arguments, **environment))

    @contextmanager
    def running(self, *arguments: str | Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """Run pytest beside the test, which is to end it."""
        process = self.start(*arguments, **environment)
        try:
            yield process
        finally:
            process.kill()
            self.finish(process)

    @property
    def stage(self) -> str:
        """What a hooked backend said last."""
        return self.stage_file.read_text() if self.stage_file.exists() else ""

    @property
    def run(self) -> Path:
        """Folder of the only run."""
        (folder,) = (path.parent for path in self.runs.glob("*/run.json"))
        return folder

    @property
    def records(self) -> list[Record]:
        """Records of the only run."""
        return read_records(self.run)

    @property
    def journal(self) -> bytes:
        """Content of the only run's journal."""
        return (self.run / "records.jsonl").read_bytes()

    @property
    def statuses(self) -> dict[str, str]:
        """Status of each backend's record."""
        return {record.backend: record.status for record in self.records}

    def left_behind(self) -> list[str]:
        """What still runs, and which temporary files are there; compilation caches are kept in `cold`."""
        left = left_running(self.mark)
        files = [path.relative_to(self.temporary) for path in self.temporary.rglob("*") if path.is_file()]
        return left + [str(path) for path in files if path.parts[0] != "cold"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; making one takes root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
