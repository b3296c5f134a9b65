"""A worker process for a backend: a crash, a hang or an out-of-memory kill costs one fit and nothing else."""

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BufferedReader, RawIOBase
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

import psutil

from bench.arrays import Floats
from bench.backends.base import Backend, Description, Fit
from bench.correctness.places import Found, Place
from bench.families.base import Dataset, Model, Values
from bench.running.cpu import cpu_seconds_of
from bench.running.worker import Prepared, Spent
from bench.settings import Settings

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

_FIRST_LOOK, _LAST_LOOK = 0.5, 8.0  # seconds between looks at memory: a look costs the worker some 10 ms
_LIMIT_LOOK = 0.1
_LONGEST = 1e6  # seconds: a socket takes no longer timeout

_ANSWERS = {
    "bench.backends.base": ("Description", "Fit"),
    "bench.correctness.places": ("Found", "Place"),
    "bench.running.worker": ("Prepared", "Spent"),
    "numpy": ("dtype", "ndarray"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
}
"""All that an answer may be made of, beside plain Python values: reading one runs no code of a backend."""


class WorkerError(Exception):
    """A call that gave no result; `status` is that of the record, the message its reason."""

    status: Literal["failed", "timeout", "crashed"] = "failed"


class WorkerTimeoutError(WorkerError):
    """The call took longer than it may; the worker was killed."""

    status = "timeout"


class WorkerCrashedError(WorkerError):
    """The worker ended, or was killed for its memory."""

    status = "crashed"


def homeless(backend: Backend) -> Mapping[str, str]:
    """Return environment variables that move a backend's compilation cache where the home can't be written.

    Parameters
    ----------
    backend : Backend
        The engine.
    """
    if os.access(Path.home(), os.W_OK):
        return {}
    return backend.cache_environment(Path(tempfile.gettempdir()) / f"hierbench-cache-{os.getuid()}")


class Worker:
    """A process in which one backend lives; a guard (see `bench.running.guard`) ends it with all its children.

    Parameters
    ----------
    backend : Backend
        The engine; it is pickled to the process, which imports its libraries.
    memory_limit : int, optional
        Bytes that the process tree may hold; it is killed when it holds more.
    environment : mapping of str to str
        Variables added to this process's own and to `THREADS`.
    timeout : float, optional
        Seconds that its imports, and each comparison with another program, may take.
    python : Path, optional
        That of another environment, in which hierbench is installed; by default this process's own.

    Attributes
    ----------
    peak_memory : int
        Largest memory of the process tree seen in the last call, in bytes: proportional set size where the
        system tells it, so that pages which chains share are counted once; resident set size elsewhere.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        memory_limit: int | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
        python: Path | None = None,
    ) -> None:
        """Start the process and import the backend in it."""
        self.peak_memory = 0
        self._began: tuple[float, float] | None = None
        self.prepared: Prepared | None = None
        self.subject: tuple[str, str] | None = None
        self._memory_limit, self._timeout = memory_limit, timeout
        self._output = tempfile.TemporaryFile()  # noqa: SIM115, closed by close()
        own = python is None or str(python) == sys.executable
        interpreter = [sys.executable] if own else [str(python), "-P"]
        self._lifeline, lifeline = socket.socketpair()
        self._socket, theirs = socket.socketpair()
        with lifeline, theirs:
            self._guard = subprocess.Popen(
                [*interpreter, "-m", "bench.running.guard", str(lifeline.fileno()), str(theirs.fileno())],
                pass_fds=(lifeline.fileno(), theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)) if own else "",
                    **THREADS,
                    **(homeless(backend) if environment is None else environment),
                },
            )
        self._incoming = _Incoming(self._socket)
        self._answers = BufferedReader(self._incoming, 2**16)  # arrays are read from it without a copy
        try:
            self._ask("start", pickle.dumps(backend), timeout)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id of the guard, the parent of the worker, and of the process group of both."""
        return self._guard.pid

    def prepare(self, model: Model, dataset: Dataset, timeout: float | None = None) -> Prepared:
        """Bind a model to a dataset, or do nothing if that is what was bound last.

        Parameters
        ----------
        model : Model
            What to build.
        dataset : Dataset
            For which data.
        timeout : float, optional
            Seconds that it may take; None lets it run.

        Raises
        ------
        WorkerError
            If the build fails, takes too long or crashes.
        """
        subject = (model.digest, dataset.digest)
        if self.prepared is None or self.subject != subject:
            self.prepared, self.subject = None, subject
            self.prepared = cast(Prepared, self._call("prepare", model, dataset.data, timeout=timeout))
        return self.prepared

    def describe(self, model: Model, dataset: Dataset, timeout: float | None = None) -> Description:
        """Names and shapes of a model, which is not compiled for it where that can be avoided.

        Parameters
        ----------
        model : Model
            Which program.
        dataset : Dataset
            Its data, on which shapes depend.
        timeout : float, optional
            Seconds that it may take; None lets it run.

        Raises
        ------
        WorkerError
            If the program or the data can't be used.
        """
        if self.prepared is not None and self.subject == (model.digest, dataset.digest):
            return cast(Description, self._call("description", timeout=timeout))
        return cast(Description, self._call("describe", model, dataset.data, timeout=timeout))

    def versions(self) -> dict[str, str]:
        """Versions of all that decides the backend's speed and its draws."""
        return cast(dict[str, str], self._call("versions", timeout=self._timeout))

    def dimension(self) -> int:
        """Length of an unconstrained vector."""
        return cast(int, self._call("dimension", timeout=self._timeout))

    def lead(self, positions: Floats, directions: Floats) -> list[tuple[Place, Found]]:
        """See `bench.correctness.places.lead`."""
        return cast(list[tuple[Place, Found]], self._call("lead", positions, directions, timeout=self._timeout))

    def follow(self, places: Sequence[Place]) -> list[Found]:
        """See `bench.correctness.places.follow`."""
        return cast(list[Found], self._call("follow", places, timeout=self._timeout))

    def densities(self, values: Sequence[Values]) -> list[float]:
        """See `bench.correctness.places.densities`."""
        return cast(list[float], self._call("densities", values, timeout=self._timeout))

    def log_jacobians(self, values: Sequence[Values]) -> list[float]:
        """See `bench.correctness.places.log_jacobians`."""
        return cast(list[float], self._call("log_jacobians", values, timeout=self._timeout))

    def inside(self, values: Sequence[Values]) -> list[bool]:
        """See `bench.correctness.places.inside`."""
        return cast(list[bool], self._call("inside", values, timeout=self._timeout))

    def constrain(self, positions: Floats) -> list[Values]:
        """Map vectors to values."""
        return cast(list[Values], self._call("constrain", positions, timeout=self._timeout))

    def unconstrain(self, values: Sequence[Values]) -> list[Floats]:
        """Map values to vectors; NaN where they are outside of the support."""
        return cast(list[Floats], self._call("unconstrain", values, timeout=self._timeout))

    def starts(self, count: int, seed: Sequence[int]) -> list[Values]:
        """Draw starts where the density is finite; see `bench.running.worker.Session.starts`."""
        return cast(list[Values], self._call("starts", count, seed, timeout=self._timeout))

    def explore(self, count: int, seed: int, timeout: float | None = None) -> Floats:
        """Return positions where the posterior has its mass; see `bench.running.worker.Session.explore`.

        Parameters
        ----------
        timeout : float, optional
            Seconds that it may take; None lets it run.
        """
        return cast(Floats, self._call("explore", count, seed, timeout=timeout))

    def repeat_gradient(self, values: Sequence[Values], repeats: int, timeout: float | None = None) -> float:
        """Return the seconds of one evaluation; see `bench.running.worker.Session.repeat_gradient`.

        Parameters
        ----------
        timeout : float, optional
            Seconds that it may take; None lets it run.
        """
        return cast(float, self._call("repeat_gradient", values, repeats, timeout=timeout))

    def sample(
        self,
        settings: Settings,
        seed: int,
        start: Sequence[Values] | None,
        keep: Sequence[str],
        timeout: float | None = None,
    ) -> Spent:
        """Sample in the worker, where the fit stays until `fetch`; see `bench.running.worker.Session.sample`.

        Parameters
        ----------
        timeout : float, optional
            Seconds that it may take; None lets it run.

        Raises
        ------
        WorkerError
            If the fit fails, takes too long, crashes or holds too much memory.
        """
        return cast(Spent, self._call("sample", settings, seed, start, keep, timeout=timeout))

    def replay(self, where: Sequence[tuple[int, int]]) -> list[float]:
        """Evaluate the log density again at draws of the last fit, by chain and draw."""
        return cast(list[float], self._call("replay", where, timeout=self._timeout))

    def fetch(self, names: Sequence[str] | None = None) -> Fit:
        """Bring the last fit into this process, with the draws of some quantities or of all."""
        return cast(Fit, self._call("fetch", names, timeout=self._timeout))

    def close(self) -> None:
        """Kill the process and all its children."""
        self._answers.close()
        self._socket.close()
        self._lifeline.close()  # the guard's sign
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(timeout=10)
        with suppress(ProcessLookupError, PermissionError):  # the guard itself may have been killed
            os.killpg(self.pid, signal.SIGKILL)
        self._guard.wait()
        for folder in Path(tempfile.gettempdir()).glob(f"hierbench-{self.pid}-*"):  # the guard itself was killed
            shutil.rmtree(folder, ignore_errors=True)
        self._output.close()

    @property
    def closed(self) -> bool:
        """Whether the process is gone."""
        return self._answers.closed

    def __enter__(self) -> "Worker":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process and all its children."""
        self.close()

    def _call(self, method: str, *arguments: object, timeout: float | None = None) -> object:
        try:
            self._output.seek(0)  # the worker shares the position; what it prints in a day must not fill the disk
            self._output.truncate()
            return self._ask(method, pickle.dumps((method, arguments), protocol=5), timeout)
        except WorkerError as error:
            if error.status != "failed":
                self.close()
            raise
        except BaseException:  # Ctrl-C above all: stop the fit
            self.close()
            raise

    def _ask(self, method: str, message: bytes, timeout: float | None) -> object:
        """Send a message and read the answer to its end, all within the timeout."""
        self.peak_memory, self._began = 0, None
        watch = _Watch(timeout, self._look, _FIRST_LOOK if self._memory_limit is None else _LIMIT_LOOK)
        self._incoming.watch = watch
        try:
            left = watch.remaining
            self._socket.settimeout(None if left is None else min(left, _LONGEST))
            with suppress(BrokenPipeError, ConnectionResetError):  # it is gone; its answer says how
                self._socket.sendall(message)
            self._socket.settimeout(None)
            kind, value = _Unpickler(self._answers).load()
        except TimeoutError:
            limit = timeout or 0.0
            raise WorkerTimeoutError(
                f"{method} took longer than {limit:g} s{self._busy()} and was stopped; "
                f"for more: --fit-timeout {4 * limit:g}"
            ) from None
        except _TooLargeError as error:
            raise WorkerCrashedError(f"{method} {error}") from None
        except (EOFError, ConnectionResetError):
            raise WorkerCrashedError(f"{self._ending()} in {method}{self._tail()}") from None
        except Exception as error:  # whatever unpickling the backend's answer raises
            raise WorkerCrashedError(
                f"the answer to {method} could not be read: {type(error).__name__}: {error}"
            ) from error
        if kind == "error":
            raise WorkerError(value)
        return cast(object, value)

    def _look(self) -> None:
        """Look at the memory of the process tree, and the first time at its CPU seconds."""
        if self._began is None:
            self._began = time.monotonic(), cpu_seconds_of(self.pid)
        self.peak_memory = max(self.peak_memory, self._memory())
        if self._memory_limit is not None and self.peak_memory > self._memory_limit:
            raise _TooLargeError(
                f"held {self.peak_memory / 2**30:.2f} GiB, more than the limit of {self._memory_limit / 2**30:.2f} "
                "GiB, and was stopped; allow more: --memory-limit GIB"
            )

    def _busy(self) -> str:
        """Say how many cores the process tree kept busy: none if it hangs, few if others kept it from running."""
        if self._began is None:
            return ""
        moment, seconds = self._began
        share = (cpu_seconds_of(self.pid) - seconds) / max(time.monotonic() - moment, 1e-9)
        return f" on {share:.2f} cores"

    def _memory(self) -> int:
        """Bytes that the worker and its children hold now."""
        total = 0
        with suppress(psutil.Error):
            for process in psutil.Process(self.pid).children(recursive=True):
                with suppress(psutil.Error):  # it ended while we looked
                    usage = process.memory_full_info()
                    total += getattr(usage, "pss", usage.rss)
        return total

    def _ending(self) -> str:
        """Say how the process ended."""
        self._lifeline.settimeout(5)
        try:
            code = int(self._lifeline.recv(16) or -signal.SIGKILL)
        except TimeoutError:
            return "the worker hung up"
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}
            return f"the worker was killed by {names.get(-code, f'signal {-code}')}"
        return f"the worker exited with code {code}"

    def _tail(self, size: int = 2000) -> str:
        """Return the end of what the worker printed."""
        end = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, end - size))
        text = self._output.read().decode(errors="replace").strip()
        return f"; it printed last:\n{text}" if text else ""


class _TooLargeError(Exception):
    """The process tree holds more than it may."""


class _Watch:
    """The clock of one call, and looks at the memory from time to time while it is waited for."""

    def __init__(self, timeout: float | None, look: Callable[[], None], first: float) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._look, self._pause, self._doubles = look, first, first == _FIRST_LOOK
        self._next = time.monotonic() + first

    @property
    def remaining(self) -> float | None:
        """Seconds that are left; raises `TimeoutError` where there are none."""
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        return left

    def wait(self, connection: socket.socket) -> None:
        """Return when there is something to read."""
        while True:
            left, until_look = self.remaining, self._next - time.monotonic()
            if wait([connection], max(0.0, until_look if left is None else min(left, until_look))):
                return
            if time.monotonic() >= self._next:
                self._look()
                self._pause = min(2 * self._pause, _LAST_LOOK) if self._doubles else self._pause
                self._next = time.monotonic() + self._pause


class _Incoming(RawIOBase):
    """What a worker sends, piece by piece, each waited for under the eyes of `watch`."""

    watch: _Watch

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.watch.wait(self._connection)
        return self._connection.recv_into(buffer)


class _Unpickler(pickle.Unpickler):
    """Reads an answer, and refuses one that is made of anything else than `_ANSWERS`."""

    def find_class(self, module: str, name: str) -> object:
        """Look up what the answer names."""
        if name not in _ANSWERS.get(module, ()):
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


class Workers:
    """One worker a backend, started when it is first asked for and again after it was lost.

    Parameters
    ----------
    memory_limit : int, optional
        Bytes that each worker and its children may hold.
    timeout : float, optional
        Seconds that a worker's imports, and each comparison with another program, may take.
    python : Path, optional
        Of each worker, as in `Worker`.
    environment : mapping of str to str, optional
        The same.
    """

    def __init__(
        self,
        memory_limit: int | None = None,
        timeout: float | None = None,
        python: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start none."""
        self._memory_limit, self._timeout = memory_limit, timeout
        self._python, self._environment = python, environment
        self._workers: dict[str, Worker] = {}

    def __getitem__(self, backend: Backend) -> Worker:
        """Return the backend's worker."""
        worker = self._workers.get(backend.name)
        if worker is None or worker.closed:
            worker = self._workers[backend.name] = Worker(
                backend,
                memory_limit=self._memory_limit,
                timeout=self._timeout,
                python=self._python,
                environment=self._environment,
            )
        return worker

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers.values():
            worker.close()

    def __enter__(self) -> "Workers":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill all workers."""
        self.close()
