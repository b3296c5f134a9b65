"""nutpie: NUTS in Rust, on PyMC models compiled by Numba."""

import ctypes
import dataclasses
import inspect
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Backend, Cache, Description, Fit, installed
from bench.backends.pymc_program import PyMCMaps, build, fingerprint, swappable
from bench.families.base import Data, Model, Values
from bench.settings import Settings

if TYPE_CHECKING:
    import pymc as pm

Floats = NDArray[np.float64]


class Nutpie(Backend):
    """Models in PyMC, sampled by `nutpie.sample`."""

    name = "nutpie"
    language = "pymc"
    imports = ("pymc", "nutpie")
    stock = Settings(chains=6, warmup=400, draws=1000, target_accept=0.8, max_treedepth=10)

    def __init__(self) -> None:
        """Start with nothing compiled."""
        self._compiled: dict[tuple[str, str], NutpiePosterior] = {}

    def unavailable(self) -> str | None:
        """Say whether nutpie or Numba is missing."""
        return installed("nutpie", "pymc", "numba")

    def versions(self) -> Mapping[str, str]:
        """Versions of nutpie and what compiles its models."""
        return {package: version(package) for package in ("nutpie", "pymc", "pytensor", "numba", "numpy")}

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Move PyTensor's compilation folder, which holds its C modules and its Numba cache."""
        return {"PYTENSOR_FLAGS": f"base_compiledir={folder}", "NUMBA_CACHE_DIR": str(folder / "numba")}

    def prepare(self, model: Model, data: Data) -> "NutpiePosterior":
        """Compile the log density, or exchange the data of one that was compiled before."""
        import nutpie

        program = self.program(model)
        fresh = build(program, data)
        key = (model.digest, fingerprint(program, fresh))
        if key in self._compiled:
            self._compiled[key].exchange_data(fresh)
            return self._compiled[key]
        # nutpie keeps nothing of its own on disk
        self._compiled[key] = NutpiePosterior(model, fresh, nutpie.compile_pymc_model(fresh, backend="numba"), "built")
        return self._compiled[key]

    def describe(self, model: Model, data: Data) -> Description:
        """Return names and shapes; nothing is compiled for sampling."""
        return NutpiePosterior(model, build(self.program(model), data), None, "none").description


class NutpiePosterior(PyMCMaps):
    """A PyMC model with its data, compiled for nutpie.

    Parameters
    ----------
    model : Model
        The parameterization.
    built : pymc.Model
        The same, built with its data.
    compiled : nutpie.compile_pymc.CompiledPyMCModel
        What nutpie made of it.
    cache : str
        What served the build, as in `Posterior.cache`.
    """

    def __init__(self, model: Model, built: "pm.Model", compiled: Any, cache: Cache) -> None:
        """Keep the compiled model."""
        super().__init__(model, built)
        self.cache, self._compiled = cache, compiled
        self._chain_of: dict[int, int] = {}

    def exchange_data(self, fresh: "pm.Model") -> None:
        """Take over the data of another build of the same model, in nutpie's copy of them too."""
        super().exchange_data(fresh)
        self._compiled = self._compiled.with_data(**swappable(fresh))

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Call the C function that nutpie's Rust code calls."""
        position = np.ascontiguousarray(position)
        gradient, value = np.empty_like(position), np.empty(())
        pointer = ctypes.POINTER(ctypes.c_double)
        code = self._compiled.compiled_logp_func.ctypes(
            len(position),
            position.ctypes.data_as(pointer),
            gradient.ctypes.data_as(pointer),
            value.ctypes.data_as(pointer),
            self._compiled.user_data.ctypes.data,
        )
        if code != 0:
            raise ValueError(f"nutpie's log density returned error code {code} at this point")
        return float(value), gradient

    def get_ready(self, settings: Settings, seed: int, start: Sequence[Values]) -> None:
        """Learn which chain asks for its start with which number.

        nutpie gives the function that makes starts a number that follows from the seed and the chain, but calls it
        in the order in which its threads get there. One chain after the other, the order is that of the chains.
        """
        import nutpie

        asked: list[int] = []
        position = self.unconstrain(start[0])

        def listen(number: int) -> Floats:
            asked.append(number)
            return position

        nutpie.sample(
            dataclasses.replace(self._compiled, initial_point_func=listen),
            draws=1,
            tune=1,
            chains=settings.chains,
            cores=1,
            seed=seed,
            progress_bar=False,
            return_raw_trace=True,
        )
        self._chain_of = {number: chain for chain, number in enumerate(asked)}

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with nutpie."""
        import nutpie

        compiled = self._compiled
        if start is not None:
            starts = [self.unconstrain(values) for values in start]
            compiled = dataclasses.replace(compiled, initial_point_func=lambda number: starts[self._chain_of[number]])
        clock = _Clock(settings)
        trace: Any = nutpie.sample(
            compiled,
            draws=settings.draws,
            tune=settings.warmup,
            chains=settings.chains,
            cores=settings.parallel_chains,
            seed=seed,
            save_warmup=True,
            progress_bar=False,
            target_accept=settings.target_accept,
            maxdepth=settings.max_treedepth,
            **clock.options,
        )
        ended = time.perf_counter()
        draws = {name: self.from_pymc(name, trace.posterior[self.pymc_name(name)].values, 2) for name in keep}
        stats = {name: trace.sample_stats[name].values for name in trace.sample_stats.data_vars}
        warmup_gradients = trace.warmup_sample_stats["n_steps"].values.astype(np.int64)
        extraction_seconds = time.perf_counter() - ended
        warmup_seconds, sampling_seconds = clock.seconds()
        return Fit(
            draws=draws,
            divergent=stats["diverging"].astype(bool),
            saturated=stats["maxdepth_reached"].astype(bool),
            gradients=stats["n_steps"].astype(np.int64),
            depth=stats["depth"].astype(np.int64),
            energy=stats["energy"],
            log_density=stats["logp"],
            acceptance=stats["mean_tree_accept"],
            step_size=stats["step_size"][:, -1],
            warmup_gradients=warmup_gradients,
            extraction_seconds=extraction_seconds,
            warmup_seconds=warmup_seconds,
            sampling_seconds=sampling_seconds,
        )


class _Clock:
    """Seconds of warm-up and sampling of each chain, from the progress that newer nutpies report as they run.

    The end of warm-up is interpolated between two reports, 20 ms apart.
    """

    def __init__(self, settings: Settings) -> None:
        """Listen, if this nutpie reports progress."""
        import nutpie

        self._settings = settings
        self._reports: list[list[tuple[float, float]]] = [[(0.0, 0.0)] for _ in range(settings.chains)]
        self.options: dict[str, Any] = {}
        if "progress_callback" in inspect.signature(nutpie.sample).parameters:
            self.options = {"progress_callback": self._listen, "progress_rate": 20}

    def _listen(self, chains: Sequence[Any]) -> None:
        for reports, chain in zip(self._reports, chains, strict=True):
            if chain.finished_draws > reports[-1][0]:
                reports.append((float(chain.finished_draws), chain.runtime_ms / 1000))

    def seconds(self) -> tuple[Floats, Floats] | tuple[None, None]:
        """Seconds of warm-up and of sampling, each of shape (chain,), or None twice where nothing was reported."""
        total = self._settings.warmup + self._settings.draws
        if any(reports[-1][0] < total for reports in self._reports):
            return None, None
        reports = [np.array(chain).T for chain in self._reports]
        warmup = np.array([np.interp(self._settings.warmup, draws, seconds) for draws, seconds in reports])
        return warmup, np.array([seconds[-1] for _, seconds in reports]) - warmup
