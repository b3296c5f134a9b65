"""What the engines on PyMC models share: what was compiled is found again, and its data are exchanged."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from bench.backends.base import Backend, Description
from bench.backends.pymc_program import PyMCMaps
from bench.families.base import Data, Model

KEPT = 32
"""Compiled models that a worker keeps, the newest: enough for a family of eight on data of four shapes."""


class PyMCEngine(Backend):
    """Models in PyMC, compiled by this engine."""

    language = "pymc"

    def __init__(self) -> None:
        """Start with nothing compiled."""
        self._compiled: dict[str, PyMCMaps] = {}

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        """Move PyTensor's compilation folder, which holds its C modules, and Numba's."""
        return {"PYTENSOR_FLAGS": f"base_compiledir={folder}", "NUMBA_CACHE_DIR": str(folder / "numba")}

    def prepare(self, model: Model, data: Data) -> PyMCMaps:
        """Compile the log density, or exchange the data of one that was compiled before."""
        fresh = self.bind(model, data)
        if known := self._compiled.get(fresh.fingerprint):
            known.exchange_data(fresh)
            return known
        fresh.compile()
        self._compiled[fresh.fingerprint] = fresh
        if len(self._compiled) > KEPT:
            del self._compiled[next(iter(self._compiled))]
        return fresh

    def describe(self, model: Model, data: Data) -> Description:
        """Return names and shapes; nothing is compiled for sampling."""
        return self.bind(model, data).description

    @abstractmethod
    def bind(self, model: Model, data: Data) -> PyMCMaps:
        """Build a model with its data; nothing is compiled yet.

        Parameters
        ----------
        model : Model
            Its PyMC program is taken.
        data : mapping of str to int, float or array
            The data block of the Stan program.
        """
