"""nutpie: NUTS in Rust, on PyMC models compiled by Numba."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.backends.base import Backend, Cache, Description, installed
from bench.backends.nutpie_sampler import STOCK, NutpieSampled
from bench.backends.pymc_program import PyMCMaps, build, fingerprint, swappable
from bench.families.base import Data, Model

if TYPE_CHECKING:
    import pymc as pm

Floats = NDArray[np.float64]


class Nutpie(Backend):
    """Models in PyMC, sampled by `nutpie.sample`."""

    name = "nutpie"
    language = "pymc"
    imports = ("pymc", "nutpie")
    stock = STOCK

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
        key = (model.naming, fingerprint(program, fresh))
        if key in self._compiled:
            self._compiled[key].exchange_data(fresh, data)
            return self._compiled[key]
        # nutpie keeps nothing of its own on disk
        self._compiled[key] = NutpiePosterior(
            model, fresh, data, nutpie.compile_pymc_model(fresh, backend="numba"), "built"
        )
        return self._compiled[key]

    def describe(self, model: Model, data: Data) -> Description:
        """Return names and shapes; nothing is compiled for sampling."""
        return NutpiePosterior(model, build(self.program(model), data), data, None, "none").description


class NutpiePosterior(NutpieSampled, PyMCMaps):
    """A PyMC model with its data, compiled for nutpie.

    Parameters
    ----------
    model : Model
        The parameterization.
    built : pymc.Model
        The same, built with its data.
    data : mapping
        These data.
    compiled : nutpie.compile_pymc.CompiledPyMCModel
        What nutpie made of it.
    cache : str
        What served the build, as in `Posterior.cache`.
    """

    def __init__(self, model: Model, built: "pm.Model", data: Data, compiled: Any, cache: Cache) -> None:
        """Keep the compiled model."""
        super().__init__(model, built, data)
        self.cache, self._compiled = cache, compiled

    def exchange_data(self, fresh: "pm.Model", data: Data) -> None:
        """Take over the data of another build of the same model, in nutpie's copy of them too.

        Parameters
        ----------
        fresh : pymc.Model
            The other build.
        data : mapping
            The data block that it was built with.
        """
        super().exchange_data(fresh, data)
        self._compiled = self._compiled.with_data(**swappable(fresh))

    def _draws(self, posterior: Any, seed: int, keep: Sequence[str]) -> dict[str, Floats]:
        """Draws are there by their names in PyMC."""
        return {name: self.from_pymc(name, posterior[self.pymc_name(name)].values, 2) for name in keep}
