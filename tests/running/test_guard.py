"""The process that guards a worker: with small programs in the worker's place."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.running.processes import ROOT, left_running, marked, until

GUARDED = """
import ctypes, os, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path
from bench.running.guard import guard
lifeline, connection = map(int, sys.argv[1:])
guard(lifeline, connection)
parent = socket.socket(fileno=connection)
"""
SLEEP = "[sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)']"


class Guarded:
    """A guard, and a program in the place of its worker."""

    def __init__(self, program: str, folder: Path, mark: str) -> None:
        self.lifeline, lifeline = socket.socketpair()
        self.connection, connection = socket.socketpair()
        with lifeline, connection:
            self.guard = subprocess.Popen(
                [sys.executable, "-c", GUARDED + program, str(lifeline.fileno()), str(connection.fileno())],
                pass_fds=(lifeline.fileno(), connection.fileno()),
                start_new_session=True,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(folder), "HIERBENCH_TEST_MARK": mark},
            )
        for end in (self.lifeline, self.connection):
            end.settimeout(30)

    def says(self) -> str:
        """Return what the worker has written, up to the end of it."""
        return self.connection.recv(2**12).decode()

    def ended(self) -> int:
        """Return the worker's exit code, as the guard tells it, and wait for the guard's own end."""
        code = int(self.lifeline.recv(16))
        self.guard.wait(timeout=30)
        return code

    def close(self) -> None:
        self.lifeline.close()
        self.connection.close()
        self.guard.wait(timeout=30)


Start = Callable[[str], Guarded]


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return tmp_path.name + str(os.getpid())


@pytest.fixture
def start(tmp_path: Path, mark: str) -> Iterator[Start]:
    """Start programs under guards; when the test is done nothing of them may run or lie about."""
    folder, made = tmp_path / "temporary", []
    folder.mkdir()

    def under_guard(program: str) -> Guarded:
        made.append(Guarded(program, folder, mark))
        return made[-1]

    yield under_guard
    for guarded in made:
        guarded.close()
    assert left_running(mark) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("ctypes.string_at(0)", -signal.SIGSEGV),
    ],
)
def test_how_the_worker_ended_is_told(program: str, code: int, start: Start) -> None:
    guarded = start(program)
    assert guarded.ended() == code
    assert guarded.connection.recv(1) == b""  # nobody else holds the worker's end


@pytest.mark.parametrize("program", ["time.sleep(600)", "ctypes.PyDLL(None).pause()"], ids=["Python", "C with the GIL"])
def test_the_worker_is_killed_when_its_parent_hangs_up(program: str, start: Start, mark: str) -> None:
    guarded = start(f"parent.sendall(b'ready')\n{program}")
    assert guarded.says() == "ready"
    assert len(marked(mark)) == 2
    guarded.lifeline.close()
    guarded.guard.wait(timeout=30)
    assert left_running(mark) == []


LEAVES = f"""
subprocess.Popen({SLEEP})
subprocess.Popen({SLEEP}, start_new_session=True)
subprocess.run(["sh", "-c", "sleep 600 & exit"], start_new_session=True, check=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to a process of one's choice")
@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("ctypes.string_at(0)", -signal.SIGSEGV), ("time.sleep(600)", None)]
)
def test_children_orphans_and_those_in_other_groups_go_with_the_worker(
    end: str, code: int | None, start: Start, mark: str
) -> None:
    guarded = start(f"{LEAVES}\nparent.sendall(b'ready')\nparent.recv(1)\n{end}")
    assert guarded.says() == "ready"
    assert len(marked(mark)) == 5
    guarded.connection.sendall(b"g")
    if code is None:
        guarded.lifeline.close()
        guarded.guard.wait(timeout=30)
    else:
        assert guarded.ended() == code
    assert left_running(mark, 1) == []


def test_temporary_files_of_the_worker_are_removed(start: Start, tmp_path: Path) -> None:
    guarded = start(
        "kept = Path(tempfile.mkdtemp()) / 'draws.csv'\nkept.write_text('1')\n"
        "parent.sendall(str(kept).encode())\nparent.recv(1)\nctypes.string_at(0)"
    )
    kept = Path(guarded.says())
    assert kept.exists()
    assert kept.parents[1].parent == tmp_path / "temporary"
    assert kept.parents[1].name.startswith("hierbench-")
    guarded.connection.sendall(b"g")
    assert guarded.ended() == -signal.SIGSEGV
    assert not kept.parents[1].exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_the_guard_stays_where_a_terminal_ends_all_it_can_see(number: signal.Signals, start: Start) -> None:
    guarded = start("parent.sendall(b'ready')\nparent.recv(1)\nsys.exit(4)")
    assert guarded.says() == "ready"
    until(lambda: number in ignored(guarded.guard.pid))
    os.kill(guarded.guard.pid, number)
    time.sleep(0.1)
    assert guarded.guard.poll() is None
    guarded.connection.sendall(b"g")
    assert guarded.ended() == 4


def ignored(process: int) -> set[int]:
    """Numbers of the signals that a process ignores, as the system tells them."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return set(signal.Signals)
    (mask,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigIgn"))
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}


def test_the_guard_is_not_one_of_the_workers_children(start: Start) -> None:
    guarded = start("parent.sendall(str(os.getppid()).encode())\nparent.recv(1)")
    assert int(guarded.says()) == guarded.guard.pid
    (worker,) = psutil.Process(guarded.guard.pid).children()
    assert os.getpgid(worker.pid) == guarded.guard.pid
    guarded.connection.sendall(b"g")
    assert guarded.ended() == 0


def test_neither_numpy_nor_a_backend_is_imported_before_it_forks() -> None:
    """Forking is safe only before they start their threads."""
    modules = ("numpy", "stanli", "pymc", "psutil")
    code = f"import bench.running.guard, sys; print([name for name in {modules} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
