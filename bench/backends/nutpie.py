"""nutpie: NUTS in Rust, on PyMC models compiled by Numba."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import installed
from bench.backends.nutpie_sampler import OPTIONS, STOCK, NutpieSampled
from bench.backends.pymc_engine import PyMCEngine
from bench.backends.pymc_program import PyMCMaps, build, swappable
from bench.families.base import Data, Model
from bench.origin import package_version

Floats = NDArray[np.float64]


class Nutpie(PyMCEngine):
    """Models in PyMC, sampled by `nutpie.sample`."""

    name = "nutpie"
    gradient = "Numba"
    sampler = "nutpie"
    imports = ("pymc", "nutpie")
    stock = STOCK
    options = OPTIONS

    def unavailable(self) -> str | None:
        """Say whether nutpie or Numba is missing."""
        return installed("nutpie", "pymc", "numba")

    def versions(self) -> Mapping[str, str]:
        """Versions of nutpie and what compiles its models."""
        return {package: package_version(package) for package in ("nutpie", "pymc", "pytensor", "numba", "numpy")}

    def bind(self, model: Model, data: Data) -> "NutpiePosterior":
        """Build a model with its data."""
        posterior = NutpiePosterior(model, build(self.program(model), data), data)
        posterior.chosen = self.chosen
        return posterior


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
