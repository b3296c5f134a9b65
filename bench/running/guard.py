"""The process between pytest and a worker: once either is gone, it kills all that is left of the worker.

It imports neither NumPy nor a backend: forking is safe only before they start their threads.
"""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from threading import Thread

_PR_SET_CHILD_SUBREAPER = 36


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
    folder = tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="hierbench-")
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
    ended = None
    while ended != worker:
        ended, status = os.wait()
    _kill_descendants()
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # nobody is there to read it
        os.write(lifeline, str(os.waitstatus_to_exitcode(status)).encode())
    os.killpg(0, signal.SIGKILL)  # this process too; elsewhere than on Linux, orphans


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
