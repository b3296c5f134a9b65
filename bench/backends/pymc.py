"""PyMC's own NUTS."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import EngineOption, Fit, compiler, installed
from bench.backends.pymc_engine import PyMCEngine
from bench.backends.pymc_program import PyMCMaps, build, compiled_files, compiles_c, has_compiler, numba_for_c
from bench.families.base import Data, Model, Values
from bench.origin import package_version
from bench.settings import Settings

MODES = {"NUMBA": "Numba", "C": "PyTensor C"}
"""PyTensor's modes, and what compiles in them.

JAX is none of them: PyMC's chains are forked processes, in which JAX hangs, and new ones would compile within the fit.
"""


class PyMC(PyMCEngine):
    """Models in PyMC, sampled by `pm.sample(nuts_sampler="pymc")`."""

    name = "pymc"
    sampler = "PyMC"
    imports = ("pymc",)

    @cached_property
    def gradient(self) -> str:  # type: ignore[override]
        """What compiles log densities: C in PyMC 5 where there is a compiler, else Numba."""
        return MODES[_default_mode()]

    @property
    def options(self) -> Mapping[str, EngineOption]:  # type: ignore[override]
        """PyTensor's mode: the one that this PyMC does not take by itself."""
        return {"mode": EngineOption(tuple(mode for mode in MODES if mode != _default_mode()), "gradient", MODES)}

    def unavailable(self) -> str | None:
        """Say whether PyMC is missing, or the compiler for C where that was chosen."""
        if self.chosen.get("mode") == "C" and not has_compiler():
            return "mode=C needs a C++ compiler, and none is found; install g++ or clang++, or leave out the option"
        return installed("pymc")

    def versions(self) -> Mapping[str, str]:
        """Versions of PyMC and what compiles its models."""
        versions = {package: package_version(package) for package in ("pymc", "pytensor", "numba", "numpy")}
        if self.gradient == MODES["C"]:
            versions["g++"] = compiler()
        elif compiles_c():
            versions["g++"] = "none, Numba compiles" if numba_for_c() else compiler()
        return versions

    def bind(self, model: Model, data: Data) -> "PyMCPosterior":
        """Build a model with its data."""
        posterior = PyMCPosterior(model, build(self.program(model), data), data)
        posterior.compiling = dict(self.chosen)
        return posterior


def _default_mode() -> str:
    return "C" if compiles_c() and not numba_for_c() else "NUMBA"


class PyMCPosterior(PyMCMaps):
    """A PyMC model with its data and, once it is compiled, its log density.

    Attributes
    ----------
    compiling : mapping of str to str
        How PyTensor compiles, as `pm.sample(compile_kwargs=...)` takes it; empty for PyMC's own way.
    """

    compiling: Mapping[str, str] = MappingProxyType({})

    def compile(self) -> None:
        """Compile log density and gradient."""
        before = compiled_files()
        self._function: Any = self._pymc.logp_dlogp_function(ravel_inputs=True, **self.compiling)
        self._function.set_extra_values({})
        self._function._pytensor_function.trust_input = True
        self._function([np.zeros(self.dimension)])  # Numba compiles at the first call
        self.cache = "built" if compiled_files() > before else "disk"

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Evaluate the log density, Jacobian included, and its gradient."""
        value, gradient = self._function([position])
        return float(value), np.array(gradient)

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with PyMC's NUTS; without starts, with the plain call a user would type."""
        import pymc as pm

        options: dict[str, Any] = {"target_accept": settings.target_accept, "max_treedepth": settings.max_treedepth}
        if start is None:
            options = {"nuts": options}
        else:
            options = {
                "step": self._step(settings, seed, start),
                "initvals": [self.natural(values) for values in start],
            }
        with self._pymc:
            trace: Any = pm.sample(
                draws=settings.draws,
                tune=settings.warmup,
                chains=settings.chains,
                cores=settings.parallel_chains,
                random_seed=seed,
                nuts_sampler="pymc",
                mp_ctx="fork",  # children find everything compiled; spawned ones would compile again
                progressbar=False,
                compute_convergence_checks=False,
                discard_tuned_samples=False,
                compile_kwargs=dict(self.compiling),
                **options,
            )
        ended = time.perf_counter()
        draws = {name: self.from_pymc(name, trace.posterior[self.pymc_name(name)].values, 2) for name in keep}
        stats = {name: trace.sample_stats[name].values for name in trace.sample_stats.data_vars}
        warmup = trace.warmup_sample_stats
        return Fit(
            draws=draws,
            divergent=stats["diverging"].astype(bool),
            saturated=stats["reached_max_treedepth"].astype(bool),
            gradients=stats["n_steps"].astype(np.int64),
            depth=stats["tree_depth"].astype(np.int64),
            energy=stats["energy"],
            log_density=stats["lp"],
            acceptance=stats["acceptance_rate"],
            step_size=stats["step_size"][:, -1],
            warmup_gradients=warmup["n_steps"].values.astype(np.int64),
            extraction_seconds=time.perf_counter() - ended,
            warmup_seconds=warmup["perf_counter_diff"].values.sum(axis=1),
            sampling_seconds=stats["perf_counter_diff"].sum(axis=1),
        )

    def _step(self, settings: Settings, seed: int, start: Sequence[Values]) -> Any:
        """Make what ``pm.init_nuts(init="adapt_diag")`` makes, around the function that is compiled already."""
        import pymc as pm
        from pymc.step_methods.hmc.quadpotential import QuadPotentialDiagAdapt

        positions = np.array([self.unconstrain(values) for values in start])
        size = positions.shape[1]
        return pm.NUTS(
            model=self._pymc,
            potential=QuadPotentialDiagAdapt(size, positions.mean(axis=0), np.ones(size), 10, rng=seed),
            initial_point=self._pymc.initial_point(),
            logp_dlogp_func=self._function,
            rng=seed,
            target_accept=settings.target_accept,
            max_treedepth=settings.max_treedepth,
        )
