"""The process between pytest and a worker: once either is gone, it kills all that is left of the worker.

It imports neither NumPy nor a backend: forking is safe only before they start their threads.
"""

import ctypes
import fcntl
import glob
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from threading import Thread

_PR_SET_CHILD_SUBREAPER = 36
FRESH = 60.0
"""Seconds for which a folder is left alone: its guard may not have locked it yet."""


def guard(lifeline: int, connection: int) -> None:
    """Fork; the child returns, to become the worker, and this process stays to guard it.

    It kills the worker when the other end of `lifeline` closes, which happens however pytest ends, and even where
    the worker hangs in C code. When the worker is gone, it kills the worker's descendants, removes their temporary
    files, writes the worker's exit code (negative: the signal that killed it) to `lifeline`, and ends.

    Parameters
    ----------
    lifeline : int
        File descriptor of a socket to pytest.
    connection : int
        File descriptor that is the worker's alone.
    """
    outer = tempfile.gettempdir()
    folder = tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix=f"hierbench-{os.getpid()}-")
    mine = os.open(folder, os.O_RDONLY)
    fcntl.flock(mine, fcntl.LOCK_EX)  # the worker holds it too; it says that the folder is in use
    if sys.platform == "linux":  # orphans become this process's children, even those that left the process group
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    worker = os.fork()
    if worker == 0:
        os.close(lifeline)
        return
    os.close(connection)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_kill_when_closed, args=(lifeline, worker), daemon=True).start()
    sweep(outer)
    ended = None
    while ended != worker:
        ended, status = os.wait()
    _kill_descendants()
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # nobody is there to read it
        os.write(lifeline, str(os.waitstatus_to_exitcode(status)).encode())
    os.killpg(0, signal.SIGKILL)  # this process too; elsewhere than on Linux, orphans


def sweep(temporary: str) -> None:
    """Remove the folders of guards that were killed themselves.

    Parameters
    ----------
    temporary : str
        Where they are.
    """
    for path in glob.glob(os.path.join(glob.escape(temporary), "hierbench-[0-9]*-*")):
        with suppress(OSError):  # somebody else's, or gone
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                made = os.fstat(descriptor)
                if made.st_uid == os.getuid() and time.time() - made.st_ctime > FRESH:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _kill_when_closed(lifeline: int, worker: int) -> None:
    with suppress(OSError):
        os.read(lifeline, 1)
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


def _kill_descendants() -> None:
    import psutil

    this = psutil.Process()
    while True:
        for process in this.children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    ours, theirs = (int(argument) for argument in sys.argv[1:])
    guard(ours, theirs)
    from bench.running.worker import serve

    serve(theirs)
