"""What runs on the worker of a Dask cluster: it says what it is, and makes one fit at a time on its cores."""

import fcntl
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from threading import Lock, Timer
from typing import Any

from bench.backends.base import Backend
from bench.files import ROOT
from bench.running.environment import machine, usable_cores
from bench.running.equality import Equality
from bench.running.isolation import Workers
from bench.running.measure import Case, Measured, Replicates
from bench.settings import Asked

IDLE = 600.0
"""Seconds without work after which engines are ended: the client that started them may be gone."""
REMEMBERED = 256
"""Cases that stay past their gate."""
SHARED = ("arviz", "distributed", "numpy", "scipy")
"""Packages that decide figures, or whether the two sides understand each other, whatever the engine."""


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker says of itself.

    Attributes
    ----------
    machine : str
        Digest that tells machines apart.
    cores : frozenset of int
        Those that its fits are held to.
    software : dict of str to str
        See `software`.
    """

    machine: str
    cores: frozenset[int]
    software: Mapping[str, str]


@dataclass(frozen=True)
class ClientSession:
    """What a client's jobs have in common.

    Attributes
    ----------
    id : str
        Of the client.
    memory_limit, timeout : int, float, optional
        As in `Workers`.
    """

    id: str
    memory_limit: int | None = None
    timeout: float | None = None


@dataclass
class Bench:
    """The engines of this process, and what they have built and compared: nobody else's gate is trusted.

    Attributes
    ----------
    kept : dict of str to object
        What jobs keep here for the next one.
    ends : ExitStack
        What ends with it.
    """

    session: ClientSession
    workers: Workers
    equality: Equality
    replicates: dict[tuple[str, ...], Replicates] = field(default_factory=dict)
    kept: dict[str, object] = field(default_factory=dict)
    ends: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """End the engines, and what else was begun here."""
        with self.ends:
            self.workers.close()


Job = Callable[..., Any]
"""Is called with the bench and arguments of its own."""

_lock = Lock()
_bench: Bench | None = None
_timer: Timer | None = None


def software(backends: Sequence[Backend]) -> dict[str, str]:
    """Return all that must be the same on both sides: Python, this project's code, packages and engines.

    Parameters
    ----------
    backends : sequence of Backend
        The engines that are asked for.
    """
    found = {"Python": platform.python_version(), "the code of hierbench": code_digest()}
    for name in SHARED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not there"
    for backend in backends:
        if reason := backend.unavailable():
            found[backend.name] = f"unavailable ({reason})"
        else:
            found |= {f"{backend.name}: {name}": each for name, each in backend.versions().items()}
    return found


def code_digest() -> str:
    """Return 12 digits of a SHA-256 over the Python files of `bench` and `pymc_models`."""
    sha = hashlib.sha256()
    for path in sorted(path for package in ("bench", "pymc_models") for path in (ROOT / package).rglob("*.py")):
        sha.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return sha.hexdigest()[:12]


def introduce(backends: Sequence[Backend], shares: int | None) -> WorkerInfo:
    """Say what this worker is.

    Parameters
    ----------
    backends : sequence of Backend
        The engines that are asked for.
    shares : int, optional
        Workers among which this machine's cores are divided, by their names from 0; None leaves this one as it is.
    """
    from distributed import get_worker

    if shares is not None:
        _hold_to(sorted(usable_cores())[int(str(get_worker().name)) :: shares])
    return WorkerInfo(machine(), usable_cores(), software(backends))


def work(session: ClientSession, job: Job, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Do a job while no other one is done on these cores, and return whether it worked and what it returned or raised.

    Parameters
    ----------
    session : ClientSession
        What the client's jobs have in common.
    job : callable
        What to do.
    arguments : tuple
        Beside the bench.
    """
    global _timer
    with _lock:
        if _timer is not None:
            _timer.cancel()
        try:
            with alone(usable_cores()):
                return True, job(_bench_of(session), *arguments)
        except Exception as error:  # it is the answer; what Dask itself raises is told from it
            return False, f"{type(error).__name__}: {error}"
        finally:
            _timer = Timer(IDLE, leave)
            _timer.daemon = True
            _timer.start()


def leave() -> None:
    """End the engines of this process."""
    global _bench
    with _lock:
        if _bench is not None:
            _bench.close()
        _bench = None


def fit(bench: Bench, case: Case, asked: Asked, number: int) -> Measured:
    """Make one replicate of a case.

    Parameters
    ----------
    bench : Bench
        Of this process.
    case, asked, number : Case, Asked, int
        As in `Replicates`.
    """
    key = (case.dataset.digest, case.model.digest, *case.key)
    if key not in bench.replicates:
        bench.replicates[key] = Replicates(case, asked, bench.workers, bench.equality)
        if len(bench.replicates) > REMEMBERED:
            del bench.replicates[next(iter(bench.replicates))]
    return bench.replicates[key].make(number)


@contextmanager
def alone(cores: frozenset[int]) -> Iterator[None]:
    """Hold the locks of some cores of this machine: no other fit of a cluster runs on them, whoever asked for it.

    Parameters
    ----------
    cores : frozenset of int
        Their numbers.
    """
    with ExitStack() as held:
        for core in sorted(cores):  # always in this order, so that no two wait for each other
            path = os.path.join(tempfile.gettempdir(), f"hierbench-core-{core}.lock")
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o444))
            descriptor = os.open(path, os.O_RDONLY)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _bench_of(session: ClientSession) -> Bench:
    global _bench
    if _bench is None or _bench.session != session:
        if _bench is not None:
            _bench.close()
        workers = Workers(session.memory_limit, session.timeout)
        _bench = Bench(session, workers, Equality(workers, session.timeout))
    return _bench


def _hold_to(cores: Sequence[int]) -> None:
    """Hold every thread of this process to some cores, and so all that they start."""
    if sys.platform == "linux":
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cores)
