"""nutpie: NUTS in Rust, on PyMC models compiled by Numba or JAX."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.backends.base import EngineOption, Fit, installed
from bench.backends.nutpie_sampler import OPTIONS, STOCK, NutpieSampled
from bench.backends.pymc_engine import PyMCEngine
from bench.backends.pymc_jax import JAX, device, lacks, require_float64, tracing
from bench.backends.pymc_program import PyMCMaps, build, swappable
from bench.families.base import Data, Model, Values
from bench.origin import package_version
from bench.settings import Settings


class Nutpie(PyMCEngine):
    """Models in PyMC, sampled by `nutpie.sample`."""

    name = "nutpie"
    gradient = "Numba"
    sampler = "nutpie"
    stock = STOCK
    options = MappingProxyType({**OPTIONS, "gradient": EngineOption(("jax",), "gradient", {"jax": "JAX by calls"})})

    @property
    def imports(self) -> tuple[str, ...]:  # type: ignore[override]
        """PyMC and nutpie, and JAX before them where it gives the gradients."""
        return (*(["bench.backends.jax_start"] if self._by_jax else []), "pymc", "nutpie")

    def unavailable(self) -> str | None:
        """Say whether nutpie, or what compiles for it, is missing."""
        if missing := installed("nutpie", "pymc", "numba"):
            return missing
        return lacks(JAX) if self._by_jax else None

    def versions(self) -> Mapping[str, str]:
        """Versions of nutpie and what compiles its models."""
        compilers = ("jax", "jaxlib") if self._by_jax else ("numba",)
        return {package: package_version(package) for package in ("nutpie", "pymc", "pytensor", *compilers, "numpy")}

    def bind(self, model: Model, data: Data) -> "NutpiePosterior":
        """Build a model with its data."""
        kind = NutpieJaxPosterior if self._by_jax else NutpiePosterior
        posterior = kind(model, build(self.program(model), data), data)
        posterior.chosen = self.chosen
        return posterior

    @property
    def _by_jax(self) -> bool:
        return self.chosen.get("gradient") == "jax"


class NutpiePosterior(NutpieSampled, PyMCMaps):
    """A PyMC model with its data and, once it is compiled, what nutpie made of it."""

    def compile(self) -> None:
        """Compile log density and gradient; nutpie keeps nothing of its own on disk."""
        import nutpie

        self._compiled = nutpie.compile_pymc_model(self._pymc, backend="numba")
        self.cache = "built"

    def exchange_data(self, fresh: PyMCMaps) -> None:
        """Take over the data of another posterior, in nutpie's copy of them too."""
        super().exchange_data(fresh)
        self._compiled = self._compiled.with_data(**swappable(self._pymc))

    def _draws(self, posterior: Any, seed: int, keep: Sequence[str]) -> dict[str, Floats]:
        """Draws are there by their names in PyMC."""
        return {name: self.from_pymc(name, posterior[self.pymc_name(name)].values, 2) for name in keep}


class NutpieJaxPosterior(NutpiePosterior):
    """The same with log density and gradient by JAX, a function of Python's that nutpie calls."""

    _starts = "_make_initial_points"

    def compile(self) -> None:
        """Trace the model, with data that can be exchanged, and compile the log density.

        Raises
        ------
        DataError
            If JAX can't trace the model, or computes in 32 bits.
        """
        import jax
        import nutpie

        with tracing(self._model):
            self._compiled = nutpie.compile_pymc_model(
                self._pymc, backend="jax", gradient_backend="jax", freeze_model=False
            )
            origin = np.zeros(self.dimension)  # XLA compiles at the first call
            self.log_density_and_gradient(origin)
            self._compiled._make_expand_func(0, 0, 0)(origin, **self._compiled._shared_data)
        require_float64(jax.numpy.result_type(self._pymc.logp().dtype))
        self.cache = "built"

    def log_density_and_gradient(self, position: Floats) -> tuple[float, Floats]:
        """Call the function that nutpie calls."""
        evaluate = self._compiled._make_logp_func()
        value, gradient = evaluate(np.asarray(position, dtype=np.float64), **self._compiled._shared_data)
        return float(value), gradient

    def sample(self, settings: Settings, seed: int, start: Sequence[Values] | None, keep: Sequence[str]) -> Fit:
        """Sample with nutpie, and say where JAX computed."""
        return replace(super().sample(settings, seed, start, keep), device=device())
