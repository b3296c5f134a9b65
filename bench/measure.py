"""One measured replicate: prepare, gate, sample, diagnose, record."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import diagnostics
from bench.backends.base import Backend, Fit
from bench.datasets import Dataset
from bench.environment import environment
from bench.exact import ExactPosterior, exact_posterior
from bench.gate import compare
from bench.grading import grade, seconds_to_error
from bench.health import audit, health
from bench.isolation import Worker, WorkerError, Workers
from bench.models import Model, Target
from bench.points import initial_points
from bench.population_mean import recover_mu, reweighted_population_mean
from bench.records import Journal, Quantity, Record, RunError, Status
from bench.settings import Protocol, Settings, fit_seed

Floats = NDArray[np.float64]

STATED_ERROR = 0.01
"""Monte Carlo error of a posterior mean, in posterior standard deviations, for `seconds_to_error`."""


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
                    measured |= diagnose(self.case, self.settings, fit, self._seconds, number)
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


def diagnose(case: Case, settings: Settings, fit: Fit, seconds: float, replicate: int) -> dict[str, Any]:
    """Compute every field of a record that follows from the draws.

    Parameters
    ----------
    case : Case
        What was fit.
    settings : Settings
        As asked.
    fit : Fit
        The fit.
    seconds : float
        Its wall time.
    replicate : int
        Its number; it seeds what is drawn after sampling.
    """
    draws = with_mu(case.model, fit.draws, case.dataset, replicate)
    flags = audit(settings, fit)

    scalars = np.stack([draws[name] for name in ("mu", "sigma", "omega")], axis=-1)
    everything = np.concatenate([scalars, draws["mu_g"]], axis=-1)
    bulk = diagnostics.ess(everything, "bulk")
    rhats = diagnostics.rhat(everything)
    worst_group = 3 + int(np.argmin(np.where(np.isfinite(bulk[3:]), bulk[3:], -1)))
    names = {"mu": 0, "sigma": 1, "omega": 2, "mu_g": worst_group}
    shown = everything[..., list(names.values())]
    tail, mcse = diagnostics.ess(shown, "tail"), diagnostics.mcse(shown)
    q3, q50, q97 = np.quantile(shown, (0.03, 0.5, 0.97), axis=(0, 1))
    quantities = {
        name: Quantity(
            mean=float(np.mean(shown[..., i])),
            sd=float(np.std(shown[..., i])),
            q3=float(q3[i]),
            q50=float(q50[i]),
            q97=float(q97[i]),
            mcse=float(mcse[i]),
            ess_bulk=float(bulk[at]),
            ess_tail=float(tail[i]),
            rhat=float(rhats[at]),
        )
        for i, (name, at) in enumerate(names.items())
    }
    worst = int(np.argmin(np.where(np.isfinite(bulk), bulk, -1)))
    min_ess, max_rhat = float(bulk[worst]), float(np.max(rhats))
    ebfmi = diagnostics.ebfmi(fit.energy)
    flags += health(fit, min_ess, float(np.min(tail)), max_rhat, ebfmi)

    graded = held_against_truth(case, draws, seconds, ranked=not flags)
    if graded.get("biased"):
        flags.append(f"biased: {graded['worst']} is {graded['largest']:.1f} errors off, bound {graded['bound']:.1f}")
    population = None
    if case.model.posterior == "finite_population":
        rng = np.random.default_rng([fit_seed(0, case.dataset.id, replicate), 3])
        population = asdict(reweighted_population_mean(draws["mu"], draws["omega"], case.dataset.n_groups, rng))

    chain_seconds = None
    if fit.warmup_seconds is not None and fit.sampling_seconds is not None:
        chain_seconds = float(np.sum(fit.warmup_seconds) + np.sum(fit.sampling_seconds))
    gradients = int(np.sum(fit.gradients) + np.sum(fit.warmup_gradients))
    return {
        "health": flags,
        "warmup_seconds": None if fit.warmup_seconds is None else fit.warmup_seconds.tolist(),
        "sampling_seconds": None if fit.sampling_seconds is None else fit.sampling_seconds.tolist(),
        "extraction_seconds": fit.extraction_seconds,
        "warmup_gradients": int(np.sum(fit.warmup_gradients)),
        "gradients": int(np.sum(fit.gradients)),
        "divergences": int(np.sum(fit.divergent)),
        "saturated": int(np.sum(fit.saturated)),
        "quantities": quantities,
        "min_ess_bulk": min_ess,
        "min_ess_of": ("mu", "sigma", "omega")[worst] if worst < 3 else f"mu_g[{worst - 3}]",
        "max_rhat": max_rhat,
        "ess_per_second": min_ess / seconds,
        "ess_per_chain_second": min_ess / chain_seconds if chain_seconds else None,
        "ess_per_gradient": min_ess / gradients,
        "ebfmi": ebfmi.tolist(),
        "step_size": fit.step_size.tolist(),
        "grade": graded,
        "population_mean": population,
    }


def with_mu(model: Model, draws: Mapping[str, Floats], dataset: Dataset, replicate: int) -> dict[str, Floats]:
    """Return the draws with the population mean mu drawn from m where a model has m; the replicate seeds it."""
    if model.location == "mu":
        return dict(draws)
    rng = np.random.default_rng([fit_seed(0, dataset.id, replicate), 2])
    others = {name: values for name, values in draws.items() if name != "m"}
    return {"mu": recover_mu(draws["m"], draws["omega"], dataset.n_groups, rng), **others}


def held_against_truth(case: Case, draws: Mapping[str, Floats], seconds: float, *, ranked: bool) -> dict[str, Any]:
    """Return the exact posterior of mu, sigma and omega, and, for a fit that may be ranked, its grade.

    The grade has the largest |z| over all graded quantities, which one that is, the bound it must keep to, and for
    mu, sigma and omega the seconds in which the fit would reach a Monte Carlo error of `STATED_ERROR`.
    """
    exact = _exact(case.dataset, case.model.posterior)
    scalars = ("mu", "sigma", "omega")
    known: dict[str, Any] = {
        "exact": {
            name: {"mean": exact.mean(name), "sd": exact.sd(name)}
            | {f"q{round(100 * p)}": exact.quantile(name, p) for p in (0.03, 0.5, 0.97)}
            for name in scalars
        }
    }
    if not ranked:
        return known
    result = grade(draws, exact)
    return known | {
        "largest": result.largest,
        "worst": result.worst,
        "bound": result.bound,
        "biased": result.biased,
        "graded": len(result.z),
        "z_mean": {name: result.z[f"{name} mean"] for name in scalars},
        "seconds_to_error": dict(seconds_to_error(seconds, result.ess, STATED_ERROR)),
    }


@lru_cache(maxsize=4)
def _exact(dataset: Dataset, posterior: Target) -> ExactPosterior:
    """Keep the exact posteriors of the datasets at hand: all models, backends and replicates share them."""
    return exact_posterior(dataset, posterior)


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
