"""Jobs on the workers of a Dask cluster: one at a time on each, and what belongs together on one machine.

Dask carries the jobs; which worker gets which one, and when, is decided here. A job is sent only when the one before it
on that worker is answered, so that a worker that dies costs the job it was at, which is sent again; and an answer
counts only if it is to what was sent last, so that none counts twice.
"""

import logging
import pickle
import re
import secrets
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Literal

from bench.backends.base import Backend
from bench.records import RunError
from bench.running import dask_worker
from bench.running.dask_worker import ClientSession, WorkerInfo
from bench.running.environment import usable_cores

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

CONNECTING = 10.0
"""Seconds that a scheduler has to answer when it is first asked."""
SCHEDULER_GONE = 300.0
"""Seconds for which a scheduler that is gone is waited for."""
MACHINE_GONE = 60.0
"""Seconds for which what began on a machine waits for it; then another one goes on, and the two are not compared."""
LOOK = 1.0
"""Seconds between looks at who is there."""
LOSSES = 3
"""Workers that may die at a job before it is given up: it may be what kills them."""
EXTRA = "pip install 'hierbench[dask]'"


class ClusterError(RunError):
    """A cluster that can't be used; the message says why and what to type."""


@dataclass(eq=False)
class Job:
    """Something to do on a worker.

    Attributes
    ----------
    key : object
        What its answer is the answer to.
    call : callable
        A function of a module; it is given the `Bench` of its process and the arguments.
    arguments : tuple
        What can be pickled.
    losses : int
        Workers that died at it.
    """

    key: Any
    call: dask_worker.Job
    arguments: tuple[Any, ...]
    losses: int = 0


@dataclass(frozen=True)
class Answer:
    """What became of a job.

    Attributes
    ----------
    key : object
        The job's.
    value : object
        What it returned; where it failed or was lost, what was said.
    status : str
        `ok`, `failed` where the job raised, `crashed` where the workers died at it.
    """

    key: Any
    value: Any
    status: Literal["ok", "failed", "crashed"] = "ok"


@dataclass(eq=False)
class _Group:
    """Jobs for one machine, one after the other; `machine` is set where one of them was done."""

    jobs: deque[Job]
    machine: str | None = None


@dataclass(eq=False)
class _Slot:
    """A worker: where it is, and what it does."""

    info: WorkerInfo
    group: _Group | None = None
    job: Job | None = None
    sent: str = ""


@dataclass
class _Connection:
    """A client and what it knows of its scheduler."""

    client: "Client"
    local: "LocalCluster | None" = None
    slots: dict[str, _Slot] = field(default_factory=dict)
    joining: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    futures: dict[str, tuple[str, "Future"]] = field(default_factory=dict)


class Cluster(Iterator[Answer]):
    """Workers that agree with this process, and the jobs given to them; iterating waits for the answers.

    Parameters
    ----------
    address : str
        Of a scheduler, the path of its file, or `local:N` for N workers on this machine, among which its cores are
        divided.
    backends : sequence of Backend
        The engines whose versions must agree.
    chains : int
        Chains that a fit runs at the same time; a worker with fewer cores is refused.
    memory_limit, timeout : int, float, optional
        As in `bench.running.isolation.Workers`.
    say : callable
        Prints a line about workers that come, go or are refused.

    Raises
    ------
    ClusterError
        If there is no such scheduler, it has another version, or all its workers are refused.
    """

    def __init__(
        self,
        address: str,
        backends: Sequence[Backend],
        *,
        chains: int = 1,
        memory_limit: int | None = None,
        timeout: float | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Connect, and wait for the first worker."""
        self._address, self._backends, self._chains, self._say = address, list(backends), chains, say
        self._session = ClientSession(secrets.token_hex(8), memory_limit, timeout)
        self._shares = _shares(address, chains)
        self._software = dask_worker.software(self._backends)
        self._waiting: dict[str | None, deque[_Group]] = {}
        self._open = 0
        self._answers: deque[Answer] = deque()
        self._events: Queue[str] = Queue()
        self._gone: dict[str, float] = {}
        self._looked = self._told = 0.0
        self._began = time.monotonic()
        self._here = self._connect()
        try:
            while not self._here.slots:
                self._turn()
        except BaseException:
            self.close()
            raise

    def add(self, jobs: Sequence[Job], machine: str | None = None) -> None:
        """Give jobs that belong together: they are done on one machine, one after the other.

        Parameters
        ----------
        jobs : sequence of Job
            In their order.
        machine : str, optional
            Where such jobs were done before; they wait a while for it.
        """
        self._open += len(jobs)
        self._waiting.setdefault(machine, deque()).append(_Group(deque(jobs), machine))

    def __next__(self) -> Answer:
        """Wait for an answer; every job has one, in the order in which they come.

        Raises
        ------
        StopIteration
            If all jobs are answered.
        ClusterError
            If the scheduler is gone and doesn't come back, or no worker can be used.
        """
        while not self._answers:
            if not self._open:
                raise StopIteration
            self._turn()
        self._open -= 1
        return self._answers.popleft()

    def close(self) -> None:
        """Let the workers end their engines, and hang up."""
        here = self._here
        with suppress(Exception), warnings.catch_warnings():  # whatever is gone need not be ended
            warnings.simplefilter("ignore")
            free = [address for address, slot in here.slots.items() if slot.job is None]
            if here.local is None and free and here.client.status == "running":
                ended = [_submit(here.client, address, "leave", ()) for address in free]
                here.client.gather(ended, errors="skip")
            here.client.close(timeout=5)
            if here.local is not None:
                here.local.close(timeout=5)

    def _connect(self) -> _Connection:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Dask warns of, versions that differ, is checked here
            return _connect(self._address, self._shares)

    def _turn(self) -> None:
        """Look who is there, give out jobs, and wait a moment for an answer."""
        here = self._here
        if here.client.status != "running":
            self._reconnect()
            return
        if time.monotonic() - self._looked > LOOK:
            self._look()
            self._looked = time.monotonic()
        for address, slot in here.slots.items():
            if slot.job is None:
                self._give(address, slot)
        try:
            key = self._events.get(timeout=LOOK)
        except Empty:
            return
        if key in here.futures:  # else it was given up
            self._receive(key)

    def _look(self) -> None:
        """See which workers came and which are gone."""
        here = self._here
        try:
            there = here.client.nthreads()
        except Exception:  # the scheduler is gone; the client's status says so soon
            return
        for address in [address for address in here.slots if address not in there]:
            self._say(f"worker {address} is gone")
            self._lose(address, f"the worker {address} was gone")
        here.joining &= there.keys()
        for key in [key for key, (address, _) in here.futures.items() if address not in there]:
            del here.futures[key]
        for address in there:
            if address not in here.slots and address not in here.joining and address not in here.refused:
                here.joining.add(address)
                self._send(f"join-{secrets.token_hex(8)}", address, "introduce", (self._backends, self._shares))
        if there and not here.slots and not here.joining:
            raise ClusterError("no worker can be used:\n  " + "\n  ".join(here.refused[each] for each in there))
        if not there and time.monotonic() - self._told > 60:
            self._told = time.monotonic()
            self._say(f"no worker at {self._address}: waiting; to start one, type: dask worker {self._address}")

    def _give(self, address: str, slot: _Slot) -> None:
        """Send a worker the next job: of its group, of one that began on its machine, or of one that began nowhere."""
        if slot.group is None or not slot.group.jobs:
            slot.group = self._next_group(slot.info.machine)
        if slot.group is not None:
            slot.job = slot.group.jobs.popleft()
            slot.sent = f"job-{secrets.token_hex(8)}"
            self._send(slot.sent, address, "work", (self._session, slot.job.call, slot.job.arguments))

    def _next_group(self, machine: str) -> _Group | None:
        here = {slot.info.machine for slot in self._here.slots.values()}
        now = time.monotonic()
        for of in (machine, None, *self._waiting):
            gone = of not in here and now - self._gone.get(of or "", self._began) > MACHINE_GONE
            if self._waiting.get(of) and (of in (machine, None) or gone):
                return self._waiting[of].popleft()
        return None

    def _send(self, key: str, address: str, name: str, arguments: tuple[object, ...]) -> None:
        future = _submit(self._here.client, address, name, arguments, f"hierbench-{key}")
        self._here.futures[key] = (address, future)
        future.add_done_callback(lambda _: self._events.put(key))

    def _receive(self, key: str) -> None:
        here = self._here
        address, future = here.futures.pop(key)
        try:
            value = future.result(timeout=CONNECTING)
        except Exception as error:  # what a job raises is its answer, so this is Dask's
            if key.startswith("join"):
                self._refuse(address, _unlike(error))
            else:
                self._lose(address, f"Dask lost the fit: {type(error).__name__}: {error}")
            return
        if key.startswith("join"):
            self._join(address, value)
            return
        slot = here.slots[address]
        assert slot.job is not None
        assert slot.group is not None
        worked, found = value
        self._answers.append(Answer(slot.job.key, found, "ok" if worked else "failed"))
        slot.group.machine, slot.job = slot.info.machine, None

    def _join(self, address: str, found: WorkerInfo) -> None:
        """Take a worker in, unless it differs."""
        differences = [
            f"{name} is {found.software.get(name, 'not there')} there and {self._software.get(name, 'not there')} here"
            for name in sorted(self._software.keys() | found.software.keys())
            if self._software.get(name) != found.software.get(name)
        ]
        if differences:
            self._refuse(address, f"{'; '.join(differences)}. Install there what is here, or here what is there")
        elif len(found.cores) < self._chains:
            self._refuse(
                address, f"it may use {len(found.cores)} cores, and fits run {self._chains} chains at the same time"
            )
        else:
            self._here.joining.discard(address)
            self._here.slots[address] = _Slot(found)

    def _refuse(self, address: str, why: str) -> None:
        self._here.joining.discard(address)
        self._here.refused[address] = f"worker {address} gets no work: {why}"
        self._say(self._here.refused[address])

    def _lose(self, address: str, why: str) -> None:
        """Forget a worker; what it was at is sent again, unless too many died at it."""
        slot = self._here.slots.pop(address)
        self._gone[slot.info.machine] = time.monotonic()
        if slot.job is not None and (known := self._here.futures.pop(slot.sent, None)):
            with suppress(Exception):  # the scheduler may be gone too
                known[1].cancel()
        group, job = slot.group, slot.job
        if group is None:
            return
        if job is not None:
            job.losses += 1
            if job.losses < LOSSES:
                group.jobs.appendleft(job)
            else:
                self._answers.append(Answer(job.key, f"given up after {LOSSES} workers: {why}", "crashed"))
        if group.jobs:
            self._waiting.setdefault(group.machine, deque()).appendleft(group)

    def _reconnect(self) -> None:
        """Wait for the scheduler, and begin again with what is not answered."""
        self._say(f"the scheduler at {self._address} is gone: waiting for it for up to {SCHEDULER_GONE:g} s")
        for slot in self._here.slots.values():
            if slot.job is not None:
                slot.job.losses -= 1  # it killed nobody
        for address in list(self._here.slots):
            self._lose(address, "the scheduler was gone")
        self.close()
        until = time.monotonic() + SCHEDULER_GONE
        while True:
            try:
                self._here = self._connect()
                return
            except ClusterError as error:
                if time.monotonic() > until:
                    raise ClusterError(f"{error}; what was measured stays: go on with --resume") from None
                time.sleep(LOOK)


def _shares(address: str, chains: int) -> int | None:
    """Return the workers of `local:N`, or None; refuse what can't be an address."""
    if not address.startswith("local:"):
        if not Path(address).is_file() and not re.search(r"[^/]:\d+$", address):
            raise ClusterError(
                f"--dask is {address!r}, which is no file; give a scheduler, e.g. tcp://host:8786, the path of its "
                "file, or local:2 for two workers on this machine"
            )
        return None
    cores = len(usable_cores())
    count = int(address[6:]) if address[6:].isascii() and address[6:].isdigit() else 0
    most = max(1, cores // chains)
    if not 1 <= count <= cores:
        raise ClusterError(f"--dask is {address}; this machine has {cores} cores: give local:1 to local:{most}")
    if count > 1 and cores // count < chains:
        raise ClusterError(
            f"{address} leaves each worker {cores // count} of {cores} cores, and a fit runs {chains} chains at the "
            f"same time; add --cores {cores // count}, or give --dask local:{most}"
        )
    return count


def _connect(address: str, shares: int | None) -> _Connection:
    """Connect to a scheduler, or start one with workers on this machine."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ClusterError(f"--dask needs the package distributed ({error}); type: {EXTRA}") from None
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what happens is said here, in words
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})  # data of a fit may be large
    if shares is not None:
        local = LocalCluster(
            n_workers=shares,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
        return _Connection(Client(local, set_as_default=False), local)
    given = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        client = Client(**given, timeout=CONNECTING, set_as_default=False)
        theirs = client.get_versions()["scheduler"]["packages"]["distributed"]
    except Exception as error:  # what answers at an address may be anything
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise ClusterError(
            f"no Dask scheduler answers at {address} ({why}); to start one, type: dask scheduler"
        ) from None
    ours = version("distributed")
    if theirs != ours:
        client.close(timeout=5)
        raise ClusterError(
            f"the scheduler at {address} is Dask distributed {theirs}, and {ours} is here; for the same on both sides, "
            f"type: pip install distributed=={theirs}"
        )
    return _Connection(client)


@dataclass(frozen=True)
class _Call:
    """A call of a function of `bench.running.dask_worker`, made by who unpickles it."""

    name: str
    arguments: tuple[object, ...]

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return getattr(dask_worker, self.name), self.arguments


def _submit(
    client: "Client", address: str, name: str, arguments: tuple[object, ...], key: str | None = None
) -> "Future":
    """Make a call on a worker.

    Dask is given bytes and a function of the standard library: a scheduler unpickles, and a worker dies of, all else.
    """
    message = pickle.dumps(_Call(name, arguments), protocol=5)
    return client.submit(
        pickle.loads, message, key=key, workers=[address], allow_other_workers=False, pure=False, retries=0
    )


def _unlike(error: Exception) -> str:
    """Say why a worker could not even say what it is."""
    if isinstance(error, ImportError):
        return f"it has no hierbench ({error}); there, type: {EXTRA}"
    return f"it can't say what it is: {type(error).__name__}: {error}"
