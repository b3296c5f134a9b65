"""One measured replicate: prepare, gate, sample, diagnose; and its record, put on the disk."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from bench.backends.base import Backend, Fit
from bench.correctness.audit import audit, malformed, permuted, replayed
from bench.correctness.diagnosis import biased_further, diagnose
from bench.families.base import DataError, Dataset, Family, Model, Values
from bench.records import Journal, Record, RunError, Status, named
from bench.running.environment import environment
from bench.running.equality import Equality
from bench.running.isolation import Worker, WorkerError, Workers
from bench.running.worker import Spent
from bench.settings import Asked, fit_seed


@dataclass(frozen=True)
class Case:
    """What a benchmark item measures: a model of a family on a dataset by a backend."""

    family: Family
    dataset: Dataset
    model: Model
    backend: Backend

    @property
    def id(self) -> str:
        """Short and stable: history is matched on it."""
        return "-".join(self.key)

    @property
    def key(self) -> tuple[str, str, str]:
        """Dataset, model and backend by name, as in `Record.key`."""
        return (self.dataset.id, self.model.name, self.backend.name)


@dataclass(frozen=True)
class Measured:
    """A record that no journal holds yet, and the fit, where its draws are to be kept."""

    record: Record
    fit: Fit | None = None


class Replicates:
    """Makes replicates of one case in the workers of this process.

    Whatever happens, each gets a record, and none raises for what a backend did.

    Parameters
    ----------
    case : Case
        What to fit.
    asked : Asked
        How.
    workers : Workers
        Where the backends live.
    equality : Equality
        The gate; it is passed once, before the first fit.
    """

    def __init__(self, case: Case, asked: Asked, workers: Workers, equality: Equality) -> None:
        """Measure nothing yet."""
        self.case, self.asked = case, asked
        self.settings = asked.settings(case.backend)
        self._workers, self._equality = workers, equality
        self._status: Status = "ok"
        self._reason = ""
        self._hopeless = False
        self._number = 0
        self._start: Sequence[Values] | None = None
        self._spent: list[Spent] = []
        self._gate: dict[str, Any] = {}
        self._build: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._dimension: int | None = None
        self._sizes = dict(case.dataset.sizes)

    @property
    def _worker(self) -> Worker:
        return self._workers[self.case.backend]

    @property
    def _seed(self) -> int:
        return fit_seed(self.asked.seed, self.case.dataset.id, self._number)

    def make(self, number: int) -> Measured:
        """Prepare, pass the gate, sample and diagnose; only sampling is timed as the fit.

        Parameters
        ----------
        number : int
            Of the replicate, from 0.
        """
        self.begin(number)
        return self.end()

    def begin(self, number: int) -> float | None:
        """Prepare, pass the gate and sample, and return the seconds of the fit; None if there is none.

        Parameters
        ----------
        number : int
            Of the replicate, from 0.
        """
        self._number = number
        self._prepare()
        self._find_starts()
        self._sample()
        return self._spent[0].seconds if self._status == "ok" else None

    def again(self) -> None:
        """Make the same fit, with the same seed, once more: the record will have the mean of all times."""
        self._sample()

    def end(self) -> Measured:
        """Diagnose the fit, untimed, and return its record."""
        measured: dict[str, Any] = dict(self._build)
        if self._gate:
            measured["gate"] = self._gate
        fit = None
        if self._status == "ok":
            try:
                fit, found = self._measured()
                measured |= found
            except WorkerError as error:
                self._status, self._reason = error.status, str(error)
        known = {"sizes": self._sizes, "dimension": self._dimension}
        record = record_of(self.case, self.asked, self._number, self._status, self._reason, **known, **measured)
        return Measured(record, fit if self.asked.save_draws else None)

    def _prepare(self) -> None:
        """Build the posterior in a worker and pass the equality gate; neither is part of a fit's time."""
        if self._hopeless:
            return
        self._status, self._reason, self._build = "ok", "", {}
        case = self.case
        try:
            prepared = self._worker.prepare(case.model, case.dataset, self.asked.fit_timeout)
            self._build = {
                "prepare_seconds": prepared.seconds,
                "prepare_cpu_seconds": advanced(prepared.cpu_seconds),
                "prepare_cache": prepared.cache,
            }
            if not self._gate:
                self._compare()
                self._worker.prepare(case.model, case.dataset, self.asked.fit_timeout)  # if the gate lost it
        except WorkerError as error:  # what broke this build would break the next one too
            self._status, self._reason, self._hopeless = error.status, str(error), True
        except DataError as error:  # of data that can't be read before the build, of names that differ after it
            self._status, self._reason = "mismatch" if self._build else "failed", str(error)
            self._hopeless = True

    def _compare(self) -> None:
        """Pass the gate, and note which quantities there are."""
        case = self.case
        self._dimension = self._worker.dimension()
        self._sizes = self._sizes or {"values": case.dataset.values}
        declared = self._equality.description(case.model, case.dataset, case.backend)
        if lost := case.family.lacking(self._equality.known(case.model, case.dataset)):
            raise DataError(lost)
        wanted = case.family.target(case.model).quantities or tuple(self._equality.common(case.model, case.dataset))
        verdict = self._equality.check(case.family, case.model, case.dataset, case.backend, self._worker)
        self._gate = {
            "with": "itself" if verdict.places == 0 else verdict.against,
            "places": verdict.places,
            "error": verdict.error,
            "constant": verdict.constant,
            "left_out": verdict.left_out,
            "note": self._equality.note(case.model, case.dataset),
            "numerics": "; ".join(verdict.reasons) if verdict.passes else "",
        }
        if not verdict.passes:
            self._status, self._reason, self._hopeless = "mismatch", str(verdict), True
        transformed = {name: shape for name, shape in declared.transformed.items() if name in wanted}
        self._shapes = {**declared.parameters, **transformed}

    def _find_starts(self) -> None:
        """Find where the chains of a replicate start, under the matched protocol; no fit of it is made yet."""
        self._spent, self._start = [], None
        if self._status != "ok" or self.asked.protocol != "matched":
            return
        case = self.case
        try:
            self._start = self._equality.starts(
                case.family, case.model, case.dataset, [self._seed, 1], self.settings.chains
            )
            self._worker.prepare(case.model, case.dataset, self.asked.fit_timeout)  # if that lost it
        except WorkerError as error:
            self._status, self._reason = error.status, str(error)

    def _sample(self) -> None:
        """Make one fit, timed, and keep it in the worker."""
        if self._status != "ok":
            return
        try:
            spent = self._worker.sample(
                self.settings, self._seed, self._start, list(self._shapes), self.asked.fit_timeout
            )
            self._spent.append(spent)
            self._build["prepare_seconds"] += spent.compile_seconds
            self._build["prepare_cpu_seconds"] = advanced(
                (self._build["prepare_cpu_seconds"] or 0.0) + spent.compile_cpu_seconds
            )
        except WorkerError as error:
            self._status, self._reason = error.status, str(error)

    def _repeats(self) -> dict[str, list[float]]:
        """Return the times of each fit, where one was made several times."""
        if len(self._spent) == 1:
            return {}
        return {
            "wall_repeats": [each.seconds for each in self._spent],
            "cpu_repeats": [each.cpu_seconds for each in self._spent],
        }

    def _measured(self) -> tuple[Fit, dict[str, Any]]:
        """Fetch the fit and return it, with the fields of its record."""
        case, number, peak = self.case, self._number, self._worker.peak_memory
        where = replayed(self.settings.chains, self.settings.draws)
        again = self._worker.replay(where)
        fit = self._worker.fetch()
        if problem := malformed(fit):
            raise WorkerError(problem)
        measured: dict[str, Any] = {
            "wall_seconds": fmean(spent.seconds for spent in self._spent),
            "cpu_seconds": advanced(fmean(spent.cpu_seconds for spent in self._spent)),
            **self._repeats(),
            "peak_memory": peak or None,
            "draws_digest": digest(fit),
            "environment": {**environment(), "device": fit.device},
        }
        try:
            flags = audit(self.settings, fit, self._shapes)
            if not flags and not (case.backend.rounds_draws and not np.isfinite(again).any()):
                flags += permuted(fit.log_density, again, where)
            target = case.family.target(case.model)
            rngs = [np.random.default_rng([fit_seed(0, case.dataset.id, number), k]) for k in (2, 3)]
            began = time.perf_counter()
            draws = case.family.derive(case.model, case.dataset, fit.draws, rngs[0])
            measured["derive_seconds"] = time.perf_counter() - began
            measured["wall_seconds"] += measured["derive_seconds"]
            if "wall_repeats" in measured:
                measured["wall_repeats"] = [each + measured["derive_seconds"] for each in measured["wall_repeats"]]
            wanted = target.quantities or tuple(self._equality.common(case.model, case.dataset))
            shown = {name: draws[name] for name in wanted if name in draws}
            truth = case.family.truth(case.model.target, case.dataset)
            headline = target.headline or [name for name, array in shown.items() if array.ndim == 2]
            measured |= diagnose(fit, shown, truth, headline, measured["wall_seconds"], flags)
            measured["further"] = case.family.further(case.model, case.dataset, draws, rngs[1])
            if not measured["health"]:
                measured["health"] = biased_further(measured["further"])
        except Exception as error:  # the time was measured, and draws can be odd in ways nobody foresaw
            measured["health"] = [f"not diagnosed: {type(error).__name__}: {error}"]
        return fit, measured


def record_of(case: Case, asked: Asked, number: int, status: Status, reason: str, **measured: Any) -> Record:
    """Return the record of a replicate, by default of one of which nothing was measured.

    Parameters
    ----------
    case : Case
        What was to be fit.
    asked : Asked
        How.
    number : int
        Of the replicate.
    status, reason : str
        What became of it, and why.
    **measured
        All other fields that are known.
    """
    gone = status == "unavailable"
    fields: dict[str, Any] = {"sizes": dict(case.dataset.sizes), "environment": environment(), **measured}
    return Record(
        run="",
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        family=case.family.name,
        kind=case.family.kind,
        dataset=case.dataset.id,
        dataset_digest=case.dataset.digest,
        generated_with=dict(case.dataset.generated_with),
        model=case.model.name,
        model_digest=case.model.digest,
        target=case.model.target,
        backend=case.backend.name,
        language=case.backend.language,
        gradient="" if gone else case.backend.gradient,
        sampler=case.backend.sampler,
        protocol=asked.protocol,
        settings=asdict(asked.settings(case.backend)),
        replicate=number,
        seed=fit_seed(asked.seed, case.dataset.id, number),
        status=status,
        reason=reason or ("" if status == "ok" else "no reason was given"),
        versions={} if gone else dict(case.backend.versions()),
        **fields,
    )


def keep(journal: Journal, measured: Measured) -> Record:
    """Put a record on the disk, with its draws where they are to be kept, and return it as it stands there.

    Parameters
    ----------
    journal : Journal
        Of the run.
    measured : Measured
        What was made, here or elsewhere.

    Raises
    ------
    RunError
        If it can't be written.
    """
    record, fields = measured.record, dict[str, Any](run=journal.id)
    again = [
        f"audit: the same draws as in replicate {other.replicate}, which has another seed"
        for other in journal.with_draws(record.draws_digest)
        if other.key[:3] == record.key[:3] and other.replicate != record.replicate
    ]
    if again:
        fields["health"] = [*record.health, *again]
    if measured.fit is not None:
        journal.restore()
        path = journal.folder / "draws" / f"{'-'.join(map(str, record.key))}.nc"
        try:
            fields |= save(measured.fit, path)
        except OSError as error:
            raise RunError(
                f"{path} can't be written ({error}); free space, then go on: --resume {named(journal.folder)}"
            ) from error
    record = replace(record, **fields)
    journal.append(record)
    return record


def advanced(cpu_seconds: float) -> float | None:
    """Return CPU seconds, or None where the clock stood still or went back."""
    return cpu_seconds if cpu_seconds > 0 else None


def digest(fit: Fit) -> str:
    """SHA-256 over the draws, quantity by quantity in the order of their names."""
    sha = hashlib.sha256()
    for name in sorted(fit.draws):
        sha.update(np.ascontiguousarray(fit.draws[name], dtype="<f8").tobytes())
    return sha.hexdigest()


def save(fit: Fit, path: Path) -> dict[str, Any]:
    """Keep draws and sampler statistics as NetCDF groups that `arviz.from_netcdf` reads, 0.23 and 1.x alike.

    Parameters
    ----------
    fit : Fit
        What to keep.
    path : Path
        The file to write, whole or not at all; its folder is made if it is missing.

    Returns
    -------
    dict of str to str or int
        Fields of a record: `draws_file`, relative to the run's folder, and `draws_bytes`.

    Raises
    ------
    OSError
        If it can't be written.
    """
    import xarray

    if path.parent.is_symlink():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name[-200:]}.part")
    draft.unlink(missing_ok=True)
    posterior = {
        name: (("chain", "draw", *(f"{name}_{i}" for i in range(array.ndim - 2))), array)
        for name, array in fit.draws.items()
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
    try:
        xarray.Dataset(posterior).to_netcdf(draft, mode="w", group="posterior", engine="h5netcdf")
        xarray.Dataset(stats).to_netcdf(draft, mode="a", group="sample_stats", engine="h5netcdf")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return {"draws_file": f"draws/{path.name}", "draws_bytes": path.stat().st_size}
