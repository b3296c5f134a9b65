"""One measured replicate: prepare, gate, sample, diagnose, record."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Backend, Fit
from bench.families.normal_means.data import Dataset
from bench.correctness.diagnosis import diagnose
from bench.running.environment import environment
from bench.correctness.gate import compare
from bench.running.isolation import Worker, WorkerError, Workers
from bench.families.base import Model
from bench.families.normal_means.points import initial_points
from bench.records import Journal, Record, RunError, Status
from bench.settings import Protocol, Settings, fit_seed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """What a benchmark item measures: a model on a dataset by a backend."""

    dataset: Dataset
    model: Model
    backend: Backend

    @property
    def id(self) -> str:
        """Short and stable: history is matched on it."""
        return f"{self.dataset.id}-{self.model.name}-{self.backend.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Dataset, model and backend by name, as in `Record.key`."""
        return (self.dataset.id, self.model.name, self.backend.name)


@dataclass(frozen=True)
class Asked:
    """What a run asks of every case.

    Attributes
    ----------
    protocol : str
        `matched` or `stock`.
    overrides : dict
        Settings given by name on the command line.
    seed, replicates : int
        Seed of the run, and fits of each case.
    fit_timeout : float, optional
        Seconds a build or a fit may take; None lets it run.
    memory_limit : int, optional
        Bytes a worker and its children may hold; None lets it grow.
    save_draws : bool
        Whether to keep the draws.
    """

    protocol: Protocol = "matched"
    overrides: dict[str, float] = field(default_factory=dict)
    seed: int = 1
    replicates: int = 1
    fit_timeout: float | None = 900.0
    memory_limit: int | None = None
    save_draws: bool = False

    def settings(self, backend: Backend) -> Settings:
        """Return the settings of a fit by a backend."""
        return (backend.stock if self.protocol == "stock" else Settings()).override(**self.overrides)


class Replicates:
    """The replicates of one case, one call of `prepare`, `sample` and `record` after the other.

    Whatever happens, each gets a record, and none raises for what a backend did.

    Parameters
    ----------
    case : Case
        What to fit.
    asked : Asked
        How.
    numbers : list of int
        The replicates to make.
    workers : Workers
        Where the backends live.
    journal : Journal
        Where the records go.
    tell : callable
        Called with each record that was made.
    """

    def __init__(
        self,
        case: Case,
        asked: Asked,
        numbers: list[int],
        workers: Workers,
        journal: Journal,
        tell: Callable[[Record], None],
    ) -> None:
        """Measure nothing yet."""
        self.case, self.asked = case, asked
        self.records: list[Record] = []
        self.settings = asked.settings(case.backend)
        self._numbers = list(numbers)
        self._workers, self._journal, self._tell = workers, journal, tell
        self._status: Status = "ok"
        self._reason = ""
        self._hopeless = False
        self._seconds = 0.0
        self._compared = False
        self._build: dict[str, Any] = {}

    @property
    def _worker(self) -> Worker:
        return self._workers[self.case.backend]

    def refuse(self, status: Status, reason: str) -> None:
        """Record that none of the replicates can be made."""
        while self._numbers:
            self._status, self._reason = status, reason
            self.record()

    def prepare(self) -> None:
        """Have, untimed, a worker with the posterior in it, equal to the reference."""
        if self._hopeless:
            return
        self._status, self._reason, self._build = "ok", "", {}
        case = self.case
        try:
            prepared = self._worker.prepare(case.model, case.dataset, self.asked.fit_timeout)
            self._build = {"prepare_seconds": prepared.seconds, "prepare_cache": prepared.cache}
            if not self._compared:
                mismatch = compare(
                    case.model, case.dataset, lambda points: self._worker.evaluate(points, self.asked.fit_timeout)
                )
                self._compared = True
                if mismatch is not None:
                    self._status, self._reason, self._hopeless = "mismatch", str(mismatch), True
        except WorkerError as error:  # what broke this build would break the next one too
            self._status, self._reason, self._hopeless = error.status, str(error), True

    def sample(self) -> None:
        """Make one fit, timed, and keep it in the worker."""
        if self._status != "ok":
            return
        number = self._numbers[0]
        case, seed = self.case, fit_seed(self.asked.seed, self.case.dataset.id, number)
        start = None
        if self.asked.protocol == "matched":
            start = initial_points(case.model, case.dataset, self.asked.seed, number, self.settings.chains)
        try:
            self._seconds = self._worker.sample(self.settings, seed, start, self.asked.fit_timeout)
        except WorkerError as error:
            self._status, self._reason = error.status, str(error)

    def record(self) -> None:
        """Diagnose, untimed, the fit and put its record on the disk."""
        number = self._numbers.pop(0)
        measured: dict[str, Any] = dict(self._build)
        if self._status == "ok":
            peak = self._worker.peak_memory
            try:
                fit = self._worker.fetch()
                measured |= {"wall_seconds": self._seconds, "peak_memory": peak or None, "draws_digest": digest(fit)}
                try:
                    measured |= diagnose(self.case.model, self.case.dataset, self.settings, fit, self._seconds, number)
                except Exception as error:  # the time was measured, and draws can be odd in ways nobody foresaw
                    measured["health"] = [f"not diagnosed: {type(error).__name__}: {error}"]
                if self.asked.save_draws:
                    path = self._journal.folder / "draws" / f"{self.case.id}-{number}.nc"
                    try:
                        measured |= save(fit, path)
                    except OSError as error:
                        raise RunError(
                            f"{path} can't be written ({error}); free space, then go on: --resume {self._journal.id}"
                        ) from error
            except WorkerError as error:
                self._status, self._reason = error.status, str(error)
        case = self.case
        record = Record(
            run=self._journal.id,
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            dataset=case.dataset.id,
            dataset_digest=case.dataset.digest,
            n_obs=len(case.dataset.y),
            n_groups=case.dataset.n_groups,
            truth=dict(case.dataset.truth),
            model=case.model.name,
            model_digest=case.model.digest,
            posterior=case.model.posterior,
            backend=case.backend.name,
            language=case.backend.language,
            protocol=self.asked.protocol,
            settings=asdict(self.settings),
            replicate=number,
            seed=fit_seed(self.asked.seed, case.dataset.id, number),
            status=self._status,
            reason=self._reason,
            versions={} if self._status == "unavailable" else dict(case.backend.versions()),
            environment=environment(),
            **measured,
        )
        self._journal.append(record)
        self.records.append(record)
        self._tell(record)


def digest(fit: Fit) -> str:
    """SHA-256 over the draws, quantity by quantity in the order of their names."""
    sha = hashlib.sha256()
    for name in sorted(fit.draws):
        sha.update(np.ascontiguousarray(fit.draws[name], dtype="<f8").tobytes())
    return sha.hexdigest()


def save(fit: Fit, path: Path) -> dict[str, Any]:
    """Keep draws and sampler statistics as NetCDF groups that `arviz.from_netcdf` reads, 0.23 and 1.x alike."""
    import xarray

    path.parent.mkdir(exist_ok=True)
    posterior = {
        name: (("chain", "draw", *(["group"] if array.ndim == 3 else [])), array) for name, array in fit.draws.items()
    }
    stats = {
        name: (("chain", "draw"), array)
        for name, array in (
            ("diverging", fit.divergent),
            ("reached_max_treedepth", fit.saturated),
            ("n_steps", fit.gradients),
            ("tree_depth", fit.depth),
            ("energy", fit.energy),
        )
    }
    xarray.Dataset(posterior).to_netcdf(path, mode="w", group="posterior", engine="h5netcdf")
    xarray.Dataset(stats).to_netcdf(path, mode="a", group="sample_stats", engine="h5netcdf")
    return {"draws_file": f"draws/{path.name}", "draws_bytes": path.stat().st_size}
